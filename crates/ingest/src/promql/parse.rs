//! From text to [`Expr`]. What isn't in it is named in the refusal.

use std::time::Duration;

use super::lexer::{Token, tokens, wrong};
use super::{Aggregation, Expr, Grouping, Leaf, NotEvaluable, Operator, RangeFunction, Selector, TERMS_MAX};
use crate::readers::NAME;

/// How far an instant selector looks back: Prometheus's default.
const LOOKBACK_MS: i64 = 300_000;
/// Brackets within brackets: far deeper than a person writes, far shallower than a stack.
const DEPTH_MAX: usize = 64;

/// Reads an expression; its leaves go to the end of `leaves`.
pub(crate) fn parse(text: &str, leaves: &mut Vec<Leaf>) -> Result<Expr, NotEvaluable> {
    let mut parser = Parser { tokens: tokens(text)?, next: 0, leaves, depth: 0, n_terms: 0 };
    let expr = parser.sum()?;
    match parser.peek() {
        None => Ok(expr),
        Some(Token::Name(word)) => Err(wrong(format!("`{word}` isn't evaluated on raw samples"))),
        Some(Token::Sign(sign)) => Err(wrong(format!("`{sign}` isn't evaluated on raw samples"))),
        Some(other) => Err(wrong(format!("{other:?} isn't expected there"))),
    }
}

struct Parser<'a> {
    tokens: Vec<Token>,
    next: usize,
    leaves: &'a mut Vec<Leaf>,
    depth: usize,
    n_terms: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(is_there);
        is_there
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Name(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), NotEvaluable> {
        if self.take_sign(sign) { Ok(()) } else { Err(wrong(format!("`{sign}` is expected, not {}", self.found()))) }
    }

    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), Token::shown)
    }

    fn sum(&mut self) -> Result<Expr, NotEvaluable> {
        let mut left = self.product()?;
        loop {
            let op = if self.take_sign("+") {
                Operator::Add
            } else if self.take_sign("-") {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            self.refuse_matching()?;
            left = Expr::Binary { op, left: Box::new(left), right: Box::new(self.product()?) };
        }
    }

    fn product(&mut self) -> Result<Expr, NotEvaluable> {
        let mut left = self.term()?;
        loop {
            let op = if self.take_sign("*") {
                Operator::Multiply
            } else if self.take_sign("/") {
                Operator::Divide
            } else {
                return Ok(left);
            };
            self.refuse_matching()?;
            left = Expr::Binary { op, left: Box::new(left), right: Box::new(self.term()?) };
        }
    }

    fn refuse_matching(&self) -> Result<(), NotEvaluable> {
        match self.peek() {
            Some(Token::Name(word)) if ["on", "ignoring", "bool"].contains(&word.as_str()) => {
                Err(wrong(format!("`{word}` isn't evaluated on raw samples; aggregate both sides to the same labels")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn term(&mut self) -> Result<Expr, NotEvaluable> {
        self.n_terms += 1;
        if self.n_terms > TERMS_MAX {
            return Err(wrong(format!("it has more than {TERMS_MAX} terms; split it or use a recording rule")));
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(wrong(format!("it is nested more than {DEPTH_MAX} deep")));
        }
        let term = self.term_inside();
        self.depth -= 1;
        term
    }

    fn term_inside(&mut self) -> Result<Expr, NotEvaluable> {
        if self.take_sign("(") {
            let inside = self.sum()?;
            self.expect(")")?;
            return Ok(inside);
        }
        if self.take_sign("-") {
            let right = Box::new(self.term()?);
            return Ok(Expr::Binary { op: Operator::Multiply, left: Box::new(Expr::Number(-1.0)), right });
        }
        match self.peek().cloned() {
            Some(Token::Number(number)) => {
                self.next += 1;
                Ok(Expr::Number(number))
            }
            Some(Token::Sign("{")) => self.selector_leaf(None),
            Some(Token::Name(name)) => {
                self.next += 1;
                self.named(&name)
            }
            Some(Token::Sign(_) | Token::Text(_) | Token::Duration(_)) | None => {
                Err(wrong(format!("a selector or a function is expected, not {}", self.found())))
            }
        }
    }

    /// A function, an aggregation or a metric.
    fn named(&mut self, name: &str) -> Result<Expr, NotEvaluable> {
        if let Some(by) = aggregation(name)
            && matches!(self.peek(), Some(Token::Sign("(") | Token::Name(_)))
        {
            return self.aggregate(by);
        }
        if matches!(self.peek(), Some(Token::Sign("("))) {
            let function = RangeFunction::ALL.into_iter().find(|function| function.name() == name);
            let function = function.ok_or_else(|| {
                let known: Vec<&str> = RangeFunction::ALL.map(RangeFunction::name).to_vec();
                wrong(format!("`{name}()` isn't evaluated on raw samples; {} are", known.join(", ")))
            })?;
            self.expect("(")?;
            let leaf = self.selector_leaf(Some(function))?;
            self.expect(")")?;
            return Ok(leaf);
        }
        self.next -= 1;
        self.selector_leaf(None)
    }

    fn aggregate(&mut self, by: Aggregation) -> Result<Expr, NotEvaluable> {
        let before = self.grouping()?;
        self.expect("(")?;
        let of = Box::new(self.sum()?);
        self.expect(")")?;
        let grouping = match before {
            Some(grouping) => grouping,
            None => self.grouping()?.unwrap_or(Grouping::By(Vec::new())),
        };
        Ok(Expr::Aggregate { of, by, grouping })
    }

    fn grouping(&mut self) -> Result<Option<Grouping>, NotEvaluable> {
        let is_by = self.take_word("by");
        if !is_by && !self.take_word("without") {
            return Ok(None);
        }
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.take_sign(")") {
            match self.peek().cloned() {
                Some(Token::Name(label) | Token::Text(label)) => labels.push(label),
                Some(Token::Number(_) | Token::Duration(_) | Token::Sign(_)) | None => {
                    return Err(wrong(format!("a label is expected, not {}", self.found())));
                }
            }
            self.next += 1;
            if !self.take_sign(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(Some(if is_by { Grouping::By(labels) } else { Grouping::Without(labels) }))
    }

    /// A selector, with a range where a function wants one.
    fn selector_leaf(&mut self, function: Option<RangeFunction>) -> Result<Expr, NotEvaluable> {
        let selector = self.selector()?;
        let range = if self.take_sign("[") {
            let range = self.duration()?;
            if !self.take_sign("]") {
                return Err(wrong("subqueries aren't evaluated on raw samples"));
            }
            Some(range)
        } else {
            None
        };
        let window_ms = match (function, range) {
            (Some(_), Some(range)) => millis(range),
            (None, None) => LOOKBACK_MS,
            (Some(function), None) => {
                return Err(wrong(format!("{}() needs a range, as in [5m]", function.name())));
            }
            (None, Some(_)) => return Err(wrong("a range needs a function, as in rate(…[5m])")),
        };
        if window_ms <= 0 {
            return Err(wrong("a range must be longer than 0"));
        }
        let offset_ms = if self.take_word("offset") { millis(self.duration()?) } else { 0 };
        if matches!(self.peek(), Some(Token::Sign("@"))) {
            return Err(wrong("`@` isn't evaluated on raw samples"));
        }
        self.leaves.push(Leaf { selector, window_ms, offset_ms, function });
        Ok(Expr::Leaf(self.leaves.len() - 1))
    }

    fn selector(&mut self) -> Result<Selector, NotEvaluable> {
        let mut selector = Selector::default();
        if let Some(Token::Name(name)) = self.peek().cloned() {
            self.next += 1;
            selector.add(NAME, "=", &name)?;
        }
        if self.take_sign("{") {
            while !self.take_sign("}") {
                self.matcher(&mut selector)?;
                if !self.take_sign(",") {
                    self.expect("}")?;
                    break;
                }
            }
        }
        if selector.matches_everything() {
            return Err(wrong("a selector needs a metric's name or a matcher that isn't empty"));
        }
        Ok(selector)
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), NotEvaluable> {
        let (label, is_quoted) = match self.peek().cloned() {
            Some(Token::Name(label)) => (label, false),
            Some(Token::Text(label)) => (label, true),
            Some(Token::Number(_) | Token::Duration(_) | Token::Sign(_)) | None => {
                return Err(wrong(format!("a label is expected, not {}", self.found())));
            }
        };
        self.next += 1;
        // Prometheus 3 writes names that aren't plain as {"a.name", …}.
        if is_quoted && matches!(self.peek(), Some(Token::Sign("," | "}"))) {
            return selector.add(NAME, "=", &label);
        }
        let op = match self.peek() {
            Some(Token::Sign(op)) => *op,
            Some(_) | None => return Err(wrong(format!("a matcher is expected, not {}", self.found()))),
        };
        self.next += 1;
        match self.peek().cloned() {
            Some(Token::Text(value)) => {
                self.next += 1;
                selector.add(&label, op, &value)
            }
            Some(_) | None => Err(wrong(format!("a quoted text is expected, not {}", self.found()))),
        }
    }

    fn duration(&mut self) -> Result<Duration, NotEvaluable> {
        match self.peek() {
            Some(Token::Duration(duration)) => {
                let duration = *duration;
                self.next += 1;
                Ok(duration)
            }
            Some(_) | None => Err(wrong(format!("a duration is expected, not {}", self.found()))),
        }
    }
}

fn aggregation(name: &str) -> Option<Aggregation> {
    [
        ("sum", Aggregation::Sum),
        ("max", Aggregation::Max),
        ("min", Aggregation::Min),
        ("avg", Aggregation::Avg),
        ("count", Aggregation::Count),
    ]
    .into_iter()
    .find(|(known, _)| name.eq_ignore_ascii_case(known))
    .map(|(_, aggregation)| aggregation)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
