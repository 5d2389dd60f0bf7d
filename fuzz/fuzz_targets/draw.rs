//! How the content of rows is drawn: mostly something that might stand there.
#![allow(dead_code, reason = "each target uses a part of it")]

use session_supervisor::fuzzing::Column;

/// Names of sessions, in the forms that they have.
pub const IDS: [&str; 6] = ["a", "b", "c", "d", "0123456789abcdef0123456789abcdef", "e"];

/// Texts that stand in columns, beside the ids.
const TEXTS: [&str; 22] = [
    "test/chat=a",
    "test/chat=b",
    "irc",
    "committed",
    "failed",
    "interrupted",
    "superseded",
    "cancelled",
    "deleted",
    "expired",
    "rollback",
    "retry",
    "truncated: why",
    "restored",
    "{}",
    r#"{"pinned":true}"#,
    r#"{"standing":{"archived":{"reason":"requested","at":3}}}"#,
    r#"{"standing":{"ended":{"reason":{"expired":"idle"},"at":3}}}"#,
    r#"{"standing":{"suspended":{"reason":"crash_loop","at":3}},"crashes":4294967295}"#,
    r#"{"expiry":{"idle":"1m","calendar":"04:00 Europe/Berlin"},"class":"x"}"#,
    r#"{"previous":{"id":"b"}}"#,
    "no id/at all",
];

/// A fuzzer's bytes, taken from the front; zeros after them.
pub struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    pub fn below(&mut self, bound: usize) -> usize {
        let drawn = if bound > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (drawn | usize::from(self.byte())) % bound.max(1)
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1).min(self.0.len());
        let (taken, rest) = self.0.split_at(length);
        self.0 = rest;
        taken.to_vec()
    }

    fn long(&mut self) -> i64 {
        let mut bytes = [0; 8];
        bytes.fill_with(|| self.byte());
        i64::from_le_bytes(bytes)
    }

    /// A number: mostly small, now and then at an end.
    pub fn number(&mut self) -> i64 {
        match self.byte() {
            small @ 0..240 => i64::from(small % 12),
            240..244 => -1,
            244..247 => i64::MAX,
            247..250 => i64::MIN,
            _ => self.long(),
        }
    }

    /// A column of that name.
    pub fn column(&mut self, name: &str) -> Column {
        if self.byte() > 245 {
            return self.any();
        }
        let text = |text: &str| Column::Text(text.as_bytes().to_vec());
        match name {
            "id" => text(IDS[self.below(IDS.len())]),
            "key" | "label" | "traits" | "name" | "outcome" | "reason" | "provider" => {
                match self.below(TEXTS.len() + 5) {
                    0 if matches!(name, "label" | "traits") => Column::Null,
                    0..3 => text("a"),
                    3..5 => Column::Text(self.bytes(40)),
                    drawn => text(TEXTS[drawn - 5]),
                }
            }
            "digest" | "instance" => Column::Blob((0..16).map(|_| self.byte()).collect()),
            "open" => match self.below(4) {
                0 => Column::Null,
                turns => Column::Blob((0..turns).flat_map(|_| self.open_turn()).collect()),
            },
            "refused" => match self.below(3) {
                0 => Column::Null,
                handles => Column::Blob((0..handles * 24).map(|_| self.byte()).collect()),
            },
            "payload" | "text" => Column::Blob(self.bytes(8)),
            "value" if self.below(2) == 0 => Column::Blob(self.bytes(8)),
            "value" => Column::Text(self.bytes(8)),
            _ => Column::Integer(self.number()),
        }
    }

    /// An open turn, as it is stored.
    fn open_turn(&mut self) -> Vec<u8> {
        let mut turn = Vec::with_capacity(56);
        for place in 0..6 {
            let number = self.number().to_be_bytes();
            if place == 1 {
                turn.extend([0; 8]);
            }
            turn.extend(number);
        }
        turn
    }

    /// Any content at all.
    pub fn any(&mut self) -> Column {
        match self.byte() % 5 {
            0 => Column::Null,
            1 => Column::Integer(self.long()),
            2 => Column::Real(f64::from_bits(self.long().cast_unsigned())),
            3 => Column::Text(self.bytes(300)),
            _ => Column::Blob(self.bytes(300)),
        }
    }
}
