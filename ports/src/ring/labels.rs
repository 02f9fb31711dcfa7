//! What an app knows of the buffers that it fills.

/// By buffer: what the app left in it, in a word of its own. All of them are zero until it says so, and again once any
/// buffer was written without its label.
pub(super) struct Labels {
    words: Box<[u32]>,
    /// Some may be other than zero.
    used: bool,
}

impl Labels {
    pub(super) fn new(buffers: usize) -> Self {
        Self { words: vec![0; buffers].into(), used: false }
    }

    /// That of a buffer, if there is such a one, to be read and left.
    #[inline]
    pub(super) fn get_mut(&mut self, buffer: usize) -> Option<&mut u32> {
        self.used = true;
        self.words.get_mut(buffer)
    }

    /// Buffers are to be written without their labels.
    #[inline]
    pub(super) fn forget(&mut self) {
        if self.used {
            self.clear();
        }
    }

    #[cold]
    fn clear(&mut self) {
        self.words.fill(0);
        self.used = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_stay_until_one_buffer_is_written_without() {
        let mut labels = Labels::new(2);
        *labels.get_mut(1).unwrap() += 7;
        *labels.get_mut(1).unwrap() += 7;
        assert_eq!(labels.get_mut(1), Some(&mut 14));
        assert_eq!(labels.get_mut(2), None);
        labels.forget();
        assert_eq!((labels.get_mut(0).copied(), labels.get_mut(1).copied()), (Some(0), Some(0)));
    }
}
