//! The frames of a run that differ in size.

use fastrand::Rng;

use super::{Size, Template};

/// Templates, and which is next.
#[derive(Clone, Debug)]
pub(super) struct Shapes {
    templates: Vec<Template>,
    current: usize,
    /// What comes after it; nothing else without.
    order: Option<Order>,
}

/// How sizes follow one another, if there are several.
#[derive(Clone, Debug)]
enum Order {
    /// The one template is resized for each burst.
    Random { least: u32, most: u32, rng: Rng, burst: u32, left: u32 },
    /// By a pattern, of which this is the position.
    Imix(usize),
}

/// The sizes of an IMIX, which [`Size::IMIX`] puts in order.
const KINDS: [u32; 3] = [60, 590, 1514];

impl Shapes {
    /// Frames of this size, out of `make`. A random size lasts for `burst` frames.
    pub(super) fn new(size: Size, burst: u32, mut make: impl FnMut(u32) -> Template, rng: Rng) -> Self {
        let (templates, order) = match size {
            Size::Imix => (KINDS.map(make).to_vec(), Some(Order::Imix(0))),
            Size::Random { least, most } if least < most => {
                let order = Order::Random { least, most, rng, burst: burst.max(1), left: 1 };
                (vec![make(size.longest())], Some(order))
            }
            Size::Fixed(_) | Size::Random { .. } => (vec![make(size.longest())], None),
        };
        let mut shapes = Self { templates, current: 0, order };
        if matches!(shapes.order, Some(Order::Random { .. })) {
            shapes.advance();
        }
        shapes
    }

    pub(super) const fn is_fixed(&self) -> bool {
        self.order.is_none()
    }

    /// Of the next frame.
    #[inline]
    pub(super) fn template(&self) -> &Template {
        &self.templates[self.current]
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        if let Some(order) = &mut self.order {
            order.advance(&mut self.templates, &mut self.current);
        }
    }
}

impl Order {
    fn advance(&mut self, templates: &mut [Template], current: &mut usize) {
        match self {
            Self::Random { least, most, rng, burst, left } => {
                *left -= 1;
                if *left == 0 {
                    *left = *burst;
                    let len = usize::try_from(rng.u32(*least..*most)).unwrap_or(usize::MAX);
                    templates.iter_mut().for_each(|template| template.resize(len));
                }
            }
            Self::Imix(at) => {
                *at = (*at + 1) % Size::IMIX.len();
                *current = KINDS.iter().position(|kind| *kind == Size::IMIX[*at]).unwrap_or(0);
            }
        }
    }
}
