use bytes::Bytes;

/// A fuzzer's input, read as choices; at its end every choice is the first.
pub(crate) struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    /// A number below `bound`, 0 if that is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = match bound {
            0..=256 => usize::from(self.byte()),
            _ => usize::from(self.byte()) << 8 | usize::from(self.byte()),
        };
        wide.checked_rem(bound).unwrap_or(0)
    }

    /// Bytes, with their length in two bytes before them.
    pub(crate) fn part(&mut self) -> Bytes {
        let len = usize::from(self.byte()) << 8 | usize::from(self.byte());
        let (part, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        Bytes::copy_from_slice(part)
    }

    pub(crate) fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    /// What a hostile carrier makes of `bytes`.
    pub(crate) fn mutated(&mut self, bytes: &[u8]) -> Bytes {
        let mut bytes = bytes.to_vec();
        match self.byte() % 6 {
            0 if !bytes.is_empty() => {
                let at = self.below(bytes.len());
                bytes[at] ^= self.byte();
            }
            1 => bytes.truncate(self.below(bytes.len())),
            2 => bytes.extend_from_slice(&self.part()),
            3 => bytes = self.part().to_vec(),
            4 => {
                let at = self.below(bytes.len());
                let part = self.part();
                let to = bytes.len().min(at + part.len());
                bytes[at..to].copy_from_slice(&part[..to - at]);
            }
            _ => {
                let at = self.below(bytes.len());
                let part = self.part();
                bytes.splice(at..at, part);
            }
        }
        bytes.into()
    }
}

impl Script<'_> {
    /// Changes, adds and deletes records.
    pub(crate) fn damage(&mut self, records: &mut cf_testkit::RecordMap) {
        for _ in 0..8 {
            if self.is_over() || records.0.is_empty() {
                return;
            }
            let at = self.below(records.0.len());
            let found = records.0.iter().nth(at);
            let Some((key, value)) = found.map(|(key, value)| (key.clone(), value.clone())) else {
                return;
            };
            match self.byte() % 4 {
                0 => drop(records.0.remove(&key)),
                1 => {
                    let key = self.mutated(&key);
                    records.0.insert(key, value);
                }
                _ => {
                    let value = self.mutated(&value);
                    records.0.insert(key, value);
                }
            }
        }
    }
}
