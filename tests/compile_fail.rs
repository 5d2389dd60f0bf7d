//! What must not compile.

// A4: a key is no id, and an id is no key
#[test]
fn a_key_and_an_id_cannot_be_exchanged() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
