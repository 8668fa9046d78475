//! `PATTERN (…)` as variables in order and how often each repeats.

use nowcast_transforms::{COUNTED_MAX, Quantifier, VARIABLES_MAX};
use sqlparser::ast::{Ident, MatchRecognizePattern, MatchRecognizeSymbol, RepetitionQuantifier};
use sqlparser::tokenizer::Location;

use crate::error::{SqlError, SqlResult};

/// A variable of a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Variable {
    pub name: Ident,
    pub quantifier: Quantifier,
}

impl Variable {
    /// Whether the quantifier takes more rows where it could take fewer.
    fn is_greedy(&self) -> bool {
        let Quantifier { least, most, greedy } = self.quantifier;
        greedy && most != Some(least) && (least, most) != (0, Some(1))
    }
}

/// # Errors
/// For what Flink's patterns have not.
pub fn variables(pattern: &MatchRecognizePattern) -> SqlResult<Vec<Variable>> {
    let mut variables = vec![];
    append(pattern, &mut variables)?;
    let Some(last) = variables.last() else { return Ok(variables) };
    let at = last.name.span.start;
    if variables.len() > VARIABLES_MAX {
        return Err(SqlError::new(at, format!("PATTERN has more than {VARIABLES_MAX} variables")));
    }
    let mut counted = 0;
    for (nth, variable) in variables.iter().enumerate() {
        let name = &variable.name.value;
        let at = variable.name.span.start;
        let Quantifier { least, most, .. } = variable.quantifier;
        counted += most.unwrap_or(least.max(1)) as usize;
        if counted > COUNTED_MAX {
            return Err(SqlError::new(at, format!("PATTERN counts more than {COUNTED_MAX} rows"))
                .hint("`+` and `*` count none"));
        }
        if variables[..nth].iter().any(|before| before.name.value == *name) {
            return Err(SqlError::new(at, format!("variable `{name}` stands twice in PATTERN"))
                .hint("give each variable its own name, and both the same condition"));
        }
        let is_optional =
            variable.quantifier.least == 0 && matches!(variable.quantifier.most, None | Some(1));
        if is_optional && nth > 0 && variables[nth - 1].is_greedy() {
            let message = format!("variable `{name}`, which may be missing, follows a greedy one");
            return Err(SqlError::new(at, message)
                .hint("make the one before it reluctant, as in `A+?`, or leave `*` and `?` out"));
        }
    }
    if variables.iter().all(|variable| variable.quantifier.least == 0) {
        return Err(SqlError::new(variables[0].name.span.start, "PATTERN matches no rows at all")
            .hint("one variable at least must not be optional"));
    }
    if last.is_greedy() {
        let message = format!("the last variable `{}` of PATTERN is greedy", last.name.value);
        return Err(SqlError::new(at, message)
            .hint("end with a variable without quantifier, or a reluctant one as in `A+?`"));
    }
    Ok(variables)
}

fn append(pattern: &MatchRecognizePattern, variables: &mut Vec<Variable>) -> SqlResult<()> {
    use MatchRecognizePattern::{Alternation, Concat, Exclude, Group, Permute, Repetition, Symbol};
    let refused = |what: &str| Err(refused(place(pattern), what));
    match pattern {
        // sqlparser reads a `$` at the end as a name.
        Symbol(MatchRecognizeSymbol::Named(name)) if name.value == "$" => {
            refused("`PATTERN` with $")
        }
        Symbol(MatchRecognizeSymbol::Named(name)) => {
            variables.push(Variable { name: name.clone(), quantifier: Quantifier::ONCE });
            Ok(())
        }
        Symbol(MatchRecognizeSymbol::Start) => refused("`PATTERN` with ^"),
        Symbol(MatchRecognizeSymbol::End) => refused("`PATTERN` with $"),
        Concat(parts) => parts.iter().try_for_each(|part| append(part, variables)),
        Group(inner) => append(inner, variables),
        Repetition(inner, quantifier) => {
            let (inner, quantifier) = match (inner.as_ref(), quantifier) {
                (Repetition(inner, quantifier), RepetitionQuantifier::AtMostOne) => {
                    (inner, counted(quantifier, false, place(pattern))?)
                }
                (Repetition(..), _) => return refused("two quantifiers in a row in PATTERN"),
                _ => (inner, counted(quantifier, true, place(pattern))?),
            };
            match single(inner) {
                Some(name) => {
                    variables.push(Variable { name: name.clone(), quantifier });
                    Ok(())
                }
                None => refused("a quantifier after a group in PATTERN"),
            }
        }
        Alternation(_) => refused("`|` in PATTERN"),
        Permute(_) => refused("PERMUTE in PATTERN"),
        Exclude(_) => refused("`{- -}` in PATTERN"),
    }
}

fn counted(quantifier: &RepetitionQuantifier, greedy: bool, at: Location) -> SqlResult<Quantifier> {
    let (least, most) = match quantifier {
        RepetitionQuantifier::ZeroOrMore => (0, None),
        RepetitionQuantifier::OneOrMore => (1, None),
        RepetitionQuantifier::AtMostOne if !greedy => {
            return Err(refused(at, "`??` in PATTERN").hint("`?` and `*?` are"));
        }
        RepetitionQuantifier::AtMostOne => (0, Some(1)),
        RepetitionQuantifier::Exactly(times) => (*times, Some(*times)),
        RepetitionQuantifier::AtLeast(least) => (*least, None),
        RepetitionQuantifier::AtMost(most) => {
            return Err(refused(at, &format!("`{{,{most}}}` in PATTERN"))
                .hint(format!("`{{0,{most}}}` is")));
        }
        RepetitionQuantifier::Range(least, most) => (*least, Some(*most)),
    };
    match most {
        Some(most) if most == 0 || most < least => {
            Err(SqlError::new(at, format!("the quantifier `{quantifier}` takes no rows"))
                .hint("`{n,m}` needs n <= m and 1 <= m"))
        }
        _ => Ok(Quantifier { least, most, greedy }),
    }
}

/// The variable that a group without anything else is.
fn single(pattern: &MatchRecognizePattern) -> Option<&Ident> {
    match pattern {
        MatchRecognizePattern::Symbol(MatchRecognizeSymbol::Named(name)) => Some(name),
        MatchRecognizePattern::Group(inner) => single(inner),
        _ => None,
    }
}

fn refused(at: Location, what: &str) -> SqlError {
    let message = format!("{what} is not supported, in Flink neither");
    SqlError::new(at, message).hint("variables one after another are, with *, +, ?, {n} and {n,m}")
}

/// Where the first variable of a part stands.
fn place(pattern: &MatchRecognizePattern) -> Location {
    use MatchRecognizePattern::{Alternation, Concat, Exclude, Group, Permute, Repetition, Symbol};
    let of = |symbol: &MatchRecognizeSymbol| match symbol {
        MatchRecognizeSymbol::Named(name) => name.span.start,
        _ => Location { line: 0, column: 0 },
    };
    match pattern {
        Symbol(symbol) | Exclude(symbol) => of(symbol),
        Permute(symbols) => symbols.first().map_or(Location { line: 0, column: 0 }, of),
        Concat(parts) | Alternation(parts) => {
            parts.first().map_or(Location { line: 0, column: 0 }, place)
        }
        Group(inner) | Repetition(inner, _) => place(inner),
    }
}
