//! One row of any content: read without a panic if its checksum is right, and told as damaged if a byte of
//! it has changed.
#![no_main]

mod draw;

use draw::Draw;
use libfuzzer_sys::fuzz_target;
use session_supervisor::fuzzing::{Column, Rows, tables};

thread_local! {
    static ROWS: Rows = Rows::new().expect("SQLite works");
}

fuzz_target!(|bytes: &[u8]| {
    let mut draw = Draw::new(bytes);
    let tables = tables();
    let table = draw.below(tables.len());
    let sealed: Vec<_> = tables[table].1.iter().map(|name| draw.column(name)).collect();
    let place = draw.below(sealed.len());
    let mut changed = sealed.clone();
    changed[place] =
        if draw.below(2) == 0 { draw.any() } else { flipped(&sealed[place], &mut draw) };
    ROWS.with(|rows| {
        // SQLite has one kind of what is not a number.
        let Ok(_) = rows.is_intact(table, &sealed, &sealed) else { return };
        if changed != sealed && !changed.iter().any(is_nan) && !sealed.iter().any(is_nan) {
            let intact = rows.is_intact(table, &sealed, &changed).unwrap_or(false);
            assert!(!intact, "{sealed:?} was read as {changed:?}");
        }
    });
});

fn is_nan(column: &Column) -> bool {
    matches!(column, Column::Real(number) if number.is_nan())
}

/// The same with another bit.
fn flipped(column: &Column, draw: &mut Draw<'_>) -> Column {
    let flip = |bytes: &[u8], draw: &mut Draw<'_>| {
        let mut bytes = bytes.to_vec();
        let bit = draw.below(bytes.len() * 8);
        if let Some(byte) = bytes.get_mut(bit / 8) {
            *byte ^= 1 << (bit % 8);
        }
        bytes
    };
    match column {
        Column::Null => Column::Integer(0),
        Column::Integer(number) => Column::Integer(number ^ 1 << draw.below(64)),
        Column::Real(number) => Column::Integer(number.to_bits().cast_signed()),
        Column::Text(text) => Column::Text(flip(text, draw)),
        Column::Blob(blob) => Column::Blob(flip(blob, draw)),
    }
}
