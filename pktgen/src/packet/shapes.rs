//! The frames of a run that differ in size.

use fastrand::Rng;

use super::{Size, Template};

/// Templates, and which is next.
#[derive(Clone, Debug)]
pub(super) enum Shapes {
    Fixed(Template),
    /// One, resized for each burst.
    Random {
        template: Template,
        least: u32,
        most: u32,
        rng: Rng,
        burst: u32,
        left: u32,
    },
    /// One of each size, and the position in the pattern.
    Imix {
        templates: Box<[Template; 3]>,
        at: usize,
    },
}

impl Shapes {
    /// Frames of this size, out of `make`. A random size lasts for `burst` frames.
    pub(super) fn new(size: Size, burst: u32, mut make: impl FnMut(u32) -> Template, rng: Rng) -> Self {
        match size {
            Size::Fixed(len) => Self::Fixed(make(len)),
            Size::Random { least, most } if most <= least => Self::Fixed(make(least)),
            Size::Random { least, most } => {
                let template = make(size.longest());
                let mut shapes = Self::Random { template, least, most, rng, burst: burst.max(1), left: 0 };
                shapes.resize();
                shapes
            }
            Size::Imix => Self::Imix { templates: Box::new([60, 590, 1514].map(make)), at: 0 },
        }
    }

    pub(super) const fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed(_))
    }

    /// Of the next frame.
    #[inline]
    pub(super) fn template(&self) -> &Template {
        match self {
            Self::Fixed(template) | Self::Random { template, .. } => template,
            Self::Imix { templates, at } => match Size::IMIX[*at] {
                60 => &templates[0],
                590 => &templates[1],
                _ => &templates[2],
            },
        }
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        match self {
            Self::Fixed(_) => {}
            Self::Random { left, .. } => {
                *left -= 1;
                if *left == 0 {
                    self.resize();
                }
            }
            Self::Imix { at, .. } => *at = (*at + 1) % Size::IMIX.len(),
        }
    }

    fn resize(&mut self) {
        if let Self::Random { template, least, most, rng, burst, left } = self {
            *left = *burst;
            template.resize(usize::try_from(rng.u32(*least..*most)).unwrap_or(usize::MAX));
        }
    }
}
