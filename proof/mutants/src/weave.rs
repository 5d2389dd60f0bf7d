//! Weaving all mutants of a file into it.
//!
//! Where an expression is changed, it becomes a choice: `(if crate::mutated(17) { a < b } else { a == b })`. What is in
//! a branch of a mutant is the text as it was, with that one change; what is in the last branch has its own mutants
//! woven in, so that choices nest. A function that answers at once gets a first line that does.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ExprBinary, ExprMatch, ExprStruct, ExprUnary};

use crate::mutant::{Genre, Mutant, Position};

/// A file with its mutants in it.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    pub(crate) text: String,
    /// Where in `text` which mutant stands.
    pub(crate) variants: Vec<(Range<usize>, u32)>,
    /// Where in `text` the choices are, and between which mutants.
    pub(crate) choices: Vec<(Range<usize>, Vec<u32>)>,
}

/// Weaves `mutants` into the file, and leaves out what no choice can be made of: an expression that binds names.
pub(crate) fn weave(text: &str, mutants: &[&Mutant]) -> Woven {
    let source = Source::new(text);
    let mut loom = Loom { source: &source, at: HashMap::new(), choices: Vec::new() };
    for &mutant in mutants {
        let place = source.range(mutant.from, mutant.to);
        match mutant.genre {
            Genre::FnValue => {
                loom.choose(
                    Kind::First,
                    place,
                    mutant.id,
                    format!("return {};", mutant.replacement),
                );
            }
            Genre::MatchArmGuard => {
                loom.choose(Kind::Choice, place, mutant.id, mutant.replacement.clone());
            }
            Genre::BinaryOperator | Genre::UnaryOperator | Genre::MatchArm | Genre::StructField => {
                loom.at.entry((mutant.genre, place.start)).or_default().push(mutant);
            }
        }
    }
    loom.visit_file(&syn::parse_file(text).expect("the library parses"));
    loom.woven()
}

/// A text, and where its lines begin.
struct Source<'a> {
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    fn new(text: &'a str) -> Self {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, lines: std::iter::once(0).chain(after).collect() }
    }

    /// The byte at a line and a column, which are counted in characters.
    fn offset(&self, (line, column): Position) -> usize {
        let begin = self.lines[line - 1];
        let mut rest = self.text[begin..].char_indices();
        begin + rest.nth(column - 1).map_or(self.text.len() - begin, |(at, _)| at)
    }

    fn range(&self, from: Position, to: Position) -> Range<usize> {
        self.offset(from)..self.offset(to)
    }

    fn of(&self, span: Span) -> Range<usize> {
        let (from, to) = (span.start(), span.end());
        self.range((from.line, from.column + 1), (to.line, to.column + 1))
    }
}

/// How a choice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Before the first statement: `if … { return …; }`.
    First,
    /// Instead of an expression: `(if … { … } else { … })`.
    Choice,
    /// Instead of a `match`, which may be a statement: the same without the brackets.
    Bare,
}

struct Choice {
    kind: Kind,
    range: Range<usize>,
    variants: Vec<(u32, String)>,
}

struct Loom<'a> {
    source: &'a Source<'a>,
    /// The mutants whose place has to be found, by where they begin.
    at: HashMap<(Genre, usize), Vec<&'a Mutant>>,
    choices: Vec<Choice>,
}

impl Loom<'_> {
    fn choose(&mut self, kind: Kind, range: Range<usize>, id: u32, variant: String) {
        let same = |it: &&mut Choice| it.kind == kind && it.range == range;
        match self.choices.iter_mut().find(same) {
            Some(choice) => choice.variants.push((id, variant)),
            None => self.choices.push(Choice { kind, range, variants: vec![(id, variant)] }),
        }
    }

    /// Makes a choice of `whole` for each mutant that changes what begins where `part` does.
    fn choose_in(&mut self, genre: Genre, part: Span, whole: Span) {
        let (part, whole) = (self.source.of(part), self.source.of(whole));
        for mutant in self.at.remove(&(genre, part.start)).unwrap_or_default() {
            let changed = self.source.range(mutant.from, mutant.to);
            let text = self.source.text;
            let (before, after) =
                (&text[whole.start..changed.start], &text[changed.end..whole.end]);
            let variant = format!("{before}{}{after}", mutant.replacement);
            let kind = if genre == Genre::MatchArm { Kind::Bare } else { Kind::Choice };
            self.choose(kind, whole.clone(), mutant.id, variant);
        }
    }

    /// The text with everything in it. Ranges are nested or apart.
    fn woven(mut self) -> Woven {
        // Stable: those of functions were made first, and stay outside of an expression that is the whole body.
        self.choices.sort_by_key(|it| (it.range.start, usize::MAX - it.range.end));
        let (mut woven, mut copied, mut open) = (Woven::default(), 0, Vec::new());
        for choice in &self.choices {
            self.close(&mut open, choice.range.start, &mut copied, &mut woven);
            woven.text += &self.source.text[copied..choice.range.start];
            copied = choice.range.start;
            let begin = woven.text.len();
            choice.begin(&mut woven);
            open.push((choice, begin));
        }
        self.close(&mut open, usize::MAX, &mut copied, &mut woven);
        woven.text += &self.source.text[copied..];
        woven
    }

    /// Ends the choices that are over at `until`.
    fn close(
        &self,
        open: &mut Vec<(&Choice, usize)>,
        until: usize,
        copied: &mut usize,
        woven: &mut Woven,
    ) {
        while let Some((choice, begin)) = open.pop_if(|(choice, _)| choice.range.end <= until) {
            woven.text += &self.source.text[*copied..choice.range.end];
            *copied = choice.range.end;
            woven.text += choice.end();
            let ids = choice.variants.iter().map(|(id, _)| *id).collect();
            woven.choices.push((begin..woven.text.len(), ids));
        }
    }
}

impl Choice {
    fn begin(&self, woven: &mut Woven) {
        woven.text += if self.kind == Kind::Choice { "(" } else { "" };
        for (id, variant) in &self.variants {
            let begin = woven.text.len();
            let after = if self.kind == Kind::First { "" } else { "else " };
            let _ = write!(woven.text, "if crate::mutated({id}) {{ {variant} }} {after}");
            woven.variants.push((begin..woven.text.len(), *id));
        }
        woven.text += if self.kind == Kind::First { "" } else { "{ " };
    }

    fn end(&self) -> &'static str {
        match self.kind {
            Kind::First => "",
            Kind::Choice => " })",
            Kind::Bare => " }",
        }
    }
}

/// Whether the expression binds names for what comes after it, as `let` does in a condition.
fn binds(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(it) => matches!(it.op, BinOp::And(_)) && (binds(&it.left) || binds(&it.right)),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Loom<'_> {
    fn visit_expr_binary(&mut self, node: &'ast ExprBinary) {
        if !binds(&node.left) && !binds(&node.right) {
            self.choose_in(Genre::BinaryOperator, node.op.span(), node.span());
        }
        visit::visit_expr_binary(self, node);
    }

    fn visit_expr_unary(&mut self, node: &'ast ExprUnary) {
        self.choose_in(Genre::UnaryOperator, node.op.span(), node.span());
        visit::visit_expr_unary(self, node);
    }

    fn visit_expr_struct(&mut self, node: &'ast ExprStruct) {
        for field in &node.fields {
            self.choose_in(Genre::StructField, field.span(), node.span());
        }
        visit::visit_expr_struct(self, node);
    }

    fn visit_expr_match(&mut self, node: &'ast ExprMatch) {
        for arm in &node.arms {
            self.choose_in(Genre::MatchArm, arm.span(), node.span());
        }
        visit::visit_expr_match(self, node);
    }
}
