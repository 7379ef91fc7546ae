//! Finds what can be broken in a source file, and writes the file anew so that each break can be switched on at run time.

use proc_macro2::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, Lit, Pat, ReturnType, Stmt, Type};

/// One break of one place.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The file's name in `crates/synod/src`.
    pub file: String,
    /// The function, with the type whose it is: `Cluster::has_room`.
    pub function: String,
    /// The place's text, each run of white space a single blank.
    pub text: String,
    /// Which of the places with this text in this function it is, from 1.
    pub nth: usize,
    /// How it is broken.
    pub how: &'static str,
    /// For people only: edits are told apart without it.
    pub line: usize,
}

/// What is done to one stretch of the text. Numbers are those of edits; 0 where there is none.
#[derive(Clone, Debug)]
enum Site {
    /// A truth value: taken for true, for false, and moved by one where it compares.
    Truth { yes: usize, no: usize, edge: Option<Edge> },
    /// `if let` and `while let`: nothing matches.
    Never(usize),
    /// `let … else`: the other way is taken though all matches.
    Else { edit: usize, otherwise: Range<usize> },
    /// A call that is left out: its receiver stays as it is.
    Call { edit: usize, receiver: Range<usize> },
    /// A number, one more and one less.
    Number { more: usize, less: usize },
}

/// A comparison, and the one that differs from it where both sides are equal.
#[derive(Clone, Debug)]
struct Edge {
    edit: usize,
    left: Range<usize>,
    right: Range<usize>,
    is: &'static str,
    other: &'static str,
}

/// The edits of one file, numbered from `first` on, and the file with all of them in it.
pub fn instrument(file: &str, text: &str, first: usize) -> syn::Result<(Vec<Edit>, String)> {
    let tree = syn::parse_file(text)?;
    let mut finder = Finder {
        file,
        text,
        functions: Vec::new(),
        answers: Vec::new(),
        sites: BTreeMap::new(),
        chains: BTreeSet::new(),
        inserts: BTreeMap::new(),
        edits: Vec::new(),
        first,
    };
    finder.visit_file(&tree);
    let written = finder.render(0..text.len(), None);
    Ok((finder.edits, written))
}

struct Finder<'t> {
    file: &'t str,
    text: &'t str,
    functions: Vec<String>,
    /// Whether each function around answers with a truth value.
    answers: Vec<bool>,
    /// By start and, the longest first, by end.
    sites: BTreeMap<(usize, std::cmp::Reverse<usize>), Site>,
    /// Conjunctions with a `let` in them.
    chains: BTreeSet<(usize, usize)>,
    /// What stands before a place.
    inserts: BTreeMap<usize, Site>,
    edits: Vec<Edit>,
    first: usize,
}

fn range(span: Span) -> Range<usize> {
    span.byte_range()
}

/// Without the parentheses around it.
fn bare(mut expr: &Expr) -> &Expr {
    while let Expr::Paren(inner) = expr {
        expr = &inner.expr;
    }
    expr
}

impl Finder<'_> {
    fn edit(&mut self, at: &Range<usize>, how: &'static str) -> usize {
        let text = self.text[at.clone()].split_whitespace().collect::<Vec<_>>().join(" ");
        let function = self.functions.join("::");
        let same = |edit: &&Edit| edit.function == function && edit.text == text && edit.how == how;
        let nth = self.edits.iter().filter(same).count() + 1;
        let line = self.text[..at.start].matches('\n').count() + 1;
        self.edits.push(Edit { file: self.file.to_owned(), function, text, nth, how, line });
        self.first + self.edits.len() - 1
    }

    /// An expression that is true or false.
    fn truth(&mut self, expr: &Expr, yes: bool, no: bool) {
        let expr = bare(expr);
        let at = range(expr.span());
        let key = (at.start, std::cmp::Reverse(at.end));
        if self.sites.contains_key(&key) {
            return;
        }
        let (yes, no) = match expr {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Bool(it) => (!it.value, it.value),
                _ => (yes, no),
            },
            // What branches is true or false branch by branch.
            Expr::If(_) | Expr::Match(_) | Expr::Block(_) => return self.tail(expr),
            _ => (yes, no),
        };
        let yes = if yes { self.edit(&at, "true") } else { 0 };
        let no = if no { self.edit(&at, "false") } else { 0 };
        let mut edge = None;
        if let Expr::Binary(binary) = expr {
            let ops = match binary.op {
                BinOp::Lt(_) => Some(("<", "<=")),
                BinOp::Le(_) => Some(("<=", "<")),
                BinOp::Gt(_) => Some((">", ">=")),
                BinOp::Ge(_) => Some((">=", ">")),
                _ => None,
            };
            if let Some((is, other)) = ops {
                let (left, right) = (range(binary.left.span()), range(binary.right.span()));
                edge = Some(Edge { edit: self.edit(&at, "edge"), left, right, is, other });
            }
        }
        self.sites.insert(key, Site::Truth { yes, no, edge });
        if let Expr::Unary(syn::ExprUnary { op: syn::UnOp::Not(_), expr, .. }) = expr {
            // Breaking what is negated would be the same again.
            self.truth(expr, false, false);
        }
    }

    /// The operands of a chain with a `let` in it; `true` if it is one.
    fn chain(&mut self, condition: &Expr) -> bool {
        fn operands<'e>(expr: &'e Expr, all: &mut Vec<&'e Expr>) {
            match expr {
                Expr::Binary(syn::ExprBinary { op: BinOp::And(_), left, right, .. }) => {
                    operands(left, all);
                    operands(right, all);
                }
                _ => all.push(expr),
            }
        }
        let mut all = Vec::new();
        operands(condition, &mut all);
        if !all.iter().any(|it| matches!(it, Expr::Let(_))) {
            return false;
        }
        let at = range(condition.span());
        let edit = self.edit(&at, "never");
        self.inserts.insert(at.start, Site::Never(edit));
        for operand in all.iter().filter(|it| !matches!(it, Expr::Let(_))) {
            self.truth(operand, true, false);
        }
        // The conjunctions of the chain are no expressions of their own.
        let mut inner = condition;
        while let Expr::Binary(syn::ExprBinary { op: BinOp::And(_), left, .. }) = inner {
            self.chains.insert((range(inner.span()).start, range(inner.span()).end));
            inner = left;
        }
        true
    }

    fn condition(&mut self, condition: &Expr) {
        if !self.chain(condition) {
            self.truth(condition, true, true);
        }
    }

    /// What a block or an expression comes to, where that is true or false.
    fn tail(&mut self, expr: &Expr) {
        match expr {
            Expr::Block(block) => self.block_tail(&block.block),
            Expr::If(branches) => {
                self.block_tail(&branches.then_branch);
                if let Some((_, other)) = &branches.else_branch {
                    self.tail(other);
                }
            }
            Expr::Match(arms) => arms.arms.iter().for_each(|arm| self.tail(&arm.body)),
            Expr::Return(_) | Expr::Loop(_) | Expr::Assign(_) => {}
            _ => self.truth(expr, true, true),
        }
    }

    fn block_tail(&mut self, block: &syn::Block) {
        if let Some(Stmt::Expr(last, None)) = block.stmts.last() {
            self.tail(last);
        }
    }

    fn function(&mut self, signature: &syn::Signature, body: &syn::Block) {
        if signature.constness.is_some() {
            return;
        }
        self.functions.push(signature.ident.to_string());
        let is_bool = matches!(&signature.output, ReturnType::Type(_, it)
            if matches!(&**it, Type::Path(path) if path.path.is_ident("bool")));
        self.answers.push(is_bool);
        if is_bool {
            self.block_tail(body);
        }
        self.visit_block(body);
        self.answers.pop();
        self.functions.pop();
    }

    /// The text of a stretch with everything in it switched in; `within` is the site that is being written.
    fn render(&self, stretch: Range<usize>, within: Option<(usize, std::cmp::Reverse<usize>)>) -> String {
        let mut out = String::new();
        let mut at = stretch.start;
        while at < stretch.end {
            // What stands before the site that is being written stands there already.
            let first = if within.is_some_and(|(start, _)| start == at) { at + 1 } else { at };
            let inserted =
                self.inserts.range(first..stretch.end.max(first)).next().map(|(start, it)| (*start, it));
            let wrapped = self
                .sites
                .range((at, std::cmp::Reverse(usize::MAX))..)
                .find(|(key, _)| {
                    let bigger = within.is_some_and(|(start, end)| key.0 == start && key.1.0 >= end.0);
                    key.1.0 <= stretch.end && !bigger
                })
                .filter(|(key, _)| key.0 < stretch.end);
            match (inserted, wrapped) {
                (Some((start, site)), wrapped) if wrapped.is_none_or(|(key, _)| start <= key.0) => {
                    out += &self.text[at..start];
                    match site {
                        Site::Never(edit) => write!(out, "crate::hook::unless({edit}) && "),
                        Site::Else { edit, otherwise } => {
                            write!(
                                out,
                                "if crate::hook::on({edit}) {} ",
                                self.render(otherwise.clone(), None)
                            )
                        }
                        _ => Ok(()),
                    }
                    .expect("a string takes all");
                    // What is inserted stands before whatever begins here.
                    let rest = match wrapped {
                        Some((key, site)) if key.0 == start => {
                            at = key.1.0;
                            self.wrapped(*key, site)
                        }
                        _ => {
                            let next = self.text[start..].chars().next().map_or(1, char::len_utf8);
                            at = start + next;
                            self.text[start..at].to_owned()
                        }
                    };
                    out += &rest;
                }
                (_, Some((key, site))) => {
                    out += &self.text[at..key.0];
                    out += &self.wrapped(*key, site);
                    at = key.1.0;
                }
                _ => {
                    out += &self.text[at..stretch.end];
                    at = stretch.end;
                }
            }
        }
        out
    }

    fn wrapped(&self, key: (usize, std::cmp::Reverse<usize>), site: &Site) -> String {
        let all = key.0..key.1.0;
        let inner = || self.render(all.clone(), Some(key));
        match site {
            Site::Truth { yes: 0, no: 0, edge: None } => inner(),
            Site::Truth { yes, no, edge } => {
                let value = match edge {
                    Some(Edge { edit, left, right, is, other }) => {
                        let [left, right] = [left, right].map(|side| {
                            let whole = (side.start, std::cmp::Reverse(side.end));
                            match self.sites.get(&whole) {
                                Some(site) => self.wrapped(whole, site),
                                None => {
                                    self.render(side.clone(), Some((side.start, std::cmp::Reverse(side.end))))
                                }
                            }
                        });
                        format!(
                            "crate::hook::edge({edit}, ({left}) {is} ({right}), ({left}) {other} ({right}))"
                        )
                    }
                    None => inner(),
                };
                format!("crate::hook::truth({yes}, {no}, {value})")
            }
            Site::Call { edit, receiver } => {
                let before = match self.sites.get(&(receiver.start, std::cmp::Reverse(receiver.end))) {
                    Some(site) => self.wrapped((receiver.start, std::cmp::Reverse(receiver.end)), site),
                    None => {
                        self.render(receiver.clone(), Some((receiver.start, std::cmp::Reverse(receiver.end))))
                    }
                };
                let call = self.render(receiver.end..all.end, None);
                format!("(if crate::hook::on({edit}) {{ {before} }} else {{ {before}{call} }})")
            }
            Site::Number { more, less } => format!("crate::hook::number({more}, {less}, {})", inner()),
            Site::Never(_) | Site::Else { .. } => inner(),
        }
    }

    fn number(&mut self, expr: &Expr) {
        let Expr::Lit(syn::ExprLit { lit: Lit::Int(lit), .. }) = expr else { return };
        let at = range(expr.span());
        let key = (at.start, std::cmp::Reverse(at.end));
        if self.sites.contains_key(&key) {
            return;
        }
        let more = self.edit(&at, "more");
        let less = if lit.base10_digits() == "0" { 0 } else { self.edit(&at, "less") };
        self.sites.insert(key, Site::Number { more, less });
    }
}

/// Whether something is for tests only.
fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|it| {
        it.path().is_ident("test")
            || it.path().is_ident("cfg") && it.parse_args::<syn::Ident>().is_ok_and(|word| word == "test")
    })
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, it: &'ast syn::ItemMod) {
        if !is_test(&it.attrs) {
            visit::visit_item_mod(self, it);
        }
    }

    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}

    fn visit_item_impl(&mut self, it: &'ast syn::ItemImpl) {
        // How something looks decides nothing.
        let shows = it.trait_.as_ref().and_then(|(path, _)| path.segments.last());
        if shows.is_some_and(|name| ["Debug", "Display"].iter().any(|shown| name.ident == shown)) {
            return;
        }
        let name = match &*it.self_ty {
            Type::Path(path) => path.path.segments.last().map(|it| it.ident.to_string()),
            _ => None,
        };
        self.functions.push(name.unwrap_or_default());
        visit::visit_item_impl(self, it);
        self.functions.pop();
    }

    fn visit_item_fn(&mut self, it: &'ast syn::ItemFn) {
        if !is_test(&it.attrs) {
            self.function(&it.sig, &it.block);
        }
    }

    fn visit_impl_item_fn(&mut self, it: &'ast syn::ImplItemFn) {
        self.function(&it.sig, &it.block);
    }

    fn visit_expr_if(&mut self, it: &'ast syn::ExprIf) {
        self.condition(&it.cond);
        visit::visit_expr_if(self, it);
    }

    fn visit_expr_while(&mut self, it: &'ast syn::ExprWhile) {
        self.condition(&it.cond);
        visit::visit_expr_while(self, it);
    }

    fn visit_pat(&mut self, it: &'ast Pat) {
        if let Pat::Guard(guarded) = it {
            self.condition(&guarded.guard);
            self.visit_expr(&guarded.guard);
        }
    }

    fn visit_local(&mut self, it: &'ast syn::Local) {
        if let Some((_, otherwise)) = it.init.as_ref().and_then(|init| init.diverge.as_ref()) {
            let at = range(it.span());
            let edit = self.edit(&at, "else");
            let otherwise = range(otherwise.span());
            self.inserts.insert(at.start, Site::Else { edit, otherwise });
        }
        visit::visit_local(self, it);
    }

    fn visit_expr_return(&mut self, it: &'ast syn::ExprReturn) {
        if let (Some(answer), Some(true)) = (&it.expr, self.answers.last()) {
            self.tail(answer);
        }
        visit::visit_expr_return(self, it);
    }

    fn visit_expr_closure(&mut self, it: &'ast syn::ExprClosure) {
        self.answers.push(false);
        visit::visit_expr_closure(self, it);
        self.answers.pop();
    }

    fn visit_expr_lit(&mut self, it: &'ast syn::ExprLit) {
        if let Lit::Bool(_) = it.lit {
            self.truth(&Expr::Lit(it.clone()), true, true);
        }
    }

    fn visit_expr_method_call(&mut self, it: &'ast syn::ExprMethodCall) {
        let name = it.method.to_string();
        let asks = [
            "filter",
            "any",
            "all",
            "find",
            "position",
            "retain",
            "is_some_and",
            "is_none_or",
            "is_ok_and",
            "take_while",
            "skip_while",
            "partition",
        ];
        match name.as_str() {
            name if asks.contains(&name) => {
                for argument in &it.args {
                    if let Expr::Closure(closure) = argument {
                        self.tail(&closure.body);
                    }
                }
            }
            "max" | "min" | "or" if it.args.len() == 1 => {
                let at = range(it.span());
                let edit = self.edit(&at, "without");
                let receiver = range(it.receiver.span());
                self.sites.insert((at.start, std::cmp::Reverse(at.end)), Site::Call { edit, receiver });
            }
            _ => {}
        }
        it.args.iter().for_each(|argument| self.number(argument));
        visit::visit_expr_method_call(self, it);
    }

    fn visit_expr_binary(&mut self, it: &'ast syn::ExprBinary) {
        let whole = Expr::Binary(it.clone());
        let at = range(whole.span());
        match it.op {
            BinOp::And(_) if self.chains.contains(&(at.start, at.end)) => {}
            BinOp::And(_) => {
                self.truth(&whole, true, true);
                self.truth(&it.left, true, false);
                self.truth(&it.right, true, false);
            }
            BinOp::Or(_) => {
                self.truth(&whole, true, true);
                self.truth(&it.left, false, true);
                self.truth(&it.right, false, true);
            }
            BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_) | BinOp::Eq(_) | BinOp::Ne(_) => {
                self.truth(&whole, true, true);
            }
            BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Div(_) => {
                self.number(&it.left);
                self.number(&it.right);
            }
            _ => {}
        }
        visit::visit_expr_binary(self, it);
    }

    fn visit_expr_macro(&mut self, it: &'ast syn::ExprMacro) {
        if it.mac.path.is_ident("matches") {
            self.truth(&Expr::Macro(it.clone()), true, true);
        }
        self.visit_macro(&it.mac);
    }

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        let first = |input: ParseStream<'_>| -> syn::Result<Expr> {
            let first = input.parse()?;
            input.parse::<proc_macro2::TokenStream>()?;
            Ok(first)
        };
        let matched = |input: ParseStream<'_>| -> syn::Result<(Expr, Option<Expr>)> {
            let value = input.parse()?;
            input.parse::<syn::Token![,]>()?;
            Pat::parse_multi_with_leading_vert(input)?;
            let guard =
                if input.parse::<Option<syn::Token![if]>>()?.is_some() { Some(input.parse()?) } else { None };
            input.parse::<proc_macro2::TokenStream>()?;
            Ok((value, guard))
        };
        if it.path.is_ident("matches") {
            let (value, guard) = matched.parse2(it.tokens.clone()).expect("as the compiler reads it");
            self.visit_expr(&value);
            if let Some(guard) = guard {
                self.truth(&guard, true, false);
                self.visit_expr(&guard);
            }
        } else if it.path.is_ident("assert") {
            let condition = first.parse2(it.tokens.clone()).expect("as the compiler reads it");
            self.truth(&condition, true, false);
            self.visit_expr(&condition);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let (edits, _) = instrument("a.rs", text, 1).expect("it is Rust");
        edits.iter().map(|it| format!("{} {} {}", it.function, it.how, it.text)).collect()
    }

    #[test]
    fn each_way_to_break_a_condition_is_listed_once() {
        let found = all("fn f(a: u8, b: bool) { if a < 3 && !b { g(); } }");
        assert_eq!(
            found,
            ["f true a < 3 && !b", "f false a < 3 && !b", "f true a < 3", "f edge a < 3", "f true !b"]
        );
    }

    #[test]
    fn chains_closures_and_answers_are_found() {
        let found = all(
            "impl T { fn f(&self) -> bool { let Some(x) = y else { return false }; if let Some(z) = x && z.ok() {} \
                         v.iter().any(|it| it.good()) } }",
        );
        assert!(found.contains(&"T::f else let Some(x) = y else { return false };".to_owned()), "{found:?}");
        assert!(found.contains(&"T::f true false".to_owned()), "{found:?}");
        assert!(found.contains(&"T::f never let Some(z) = x && z.ok()".to_owned()), "{found:?}");
        assert!(found.contains(&"T::f true it.good()".to_owned()), "{found:?}");
        assert!(found.contains(&"T::f true v.iter().any(|it| it.good())".to_owned()), "{found:?}");
    }

    #[test]
    fn what_is_written_is_rust_again() {
        let text = "fn f(a: u64) -> bool { if matches!(x, Some(y) if y > a + 1) { return a.max(b).max(c) >= 2; } !a.ok() }";
        let (edits, written) = instrument("a.rs", text, 1).expect("it is Rust");
        syn::parse_file(&written).unwrap_or_else(|error| panic!("{error}: {written}"));
        for number in 1..=edits.len() {
            assert!(written.contains(&number.to_string()), "{number} in {written}");
        }
    }
}
