//! Whether a text is PromQL, and how far back it looks. All of PromQL's grammar, but nothing of its types: what is refused
//! here no server accepts, what passes a server may still refuse.
//!
//! Expressions come from configs and may be long; nesting is bounded, and a chain of operators is a loop, not a recursion.

use std::time::Duration;

use super::lexer::{Token, tokens, wrong};
use super::{NotEvaluable, TERMS_MAX};

/// Brackets within brackets: far deeper than a person writes, far shallower than a stack.
const DEPTH_MAX: usize = 64;

/// Aggregations of Prometheus 3.
const AGGREGATIONS: [&str; 14] = [
    "sum",
    "min",
    "max",
    "avg",
    "group",
    "stddev",
    "stdvar",
    "count",
    "count_values",
    "bottomk",
    "topk",
    "quantile",
    "limitk",
    "limit_ratio",
];

/// Operators that are words; the last three are VictoriaMetrics' own.
const WORD_OPERATORS: [&str; 7] = ["and", "or", "unless", "atan2", "default", "if", "ifnot"];

/// One stretch of the past that a value is made of: the samples in `(t - offset - window, t - offset]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Look {
    /// How long ago it ends.
    pub(crate) offset: Duration,
    /// How long it is; zero for an instant selector, which takes the newest sample.
    pub(crate) window: Duration,
}

/// What an expression looks at, each stretch once, in order; an error says where the text is no PromQL.
pub(crate) fn looks(text: &str) -> Result<Vec<Look>, NotEvaluable> {
    let mut checker = Checker { tokens: tokens(text)?, next: 0, depth: 0, n_terms: 0 };
    if checker.tokens.is_empty() {
        return Err(wrong("the expression is empty"));
    }
    // VictoriaMetrics' templates have a grammar of their own; only the server can say whether they are right.
    if checker.word("WITH") {
        return Ok(Vec::new());
    }
    let mut looks = checker.chain()?;
    if checker.next < checker.tokens.len() {
        return Err(wrong(format!("unexpected {}", checker.found())));
    }
    looks.sort_unstable();
    looks.dedup();
    Ok(looks)
}

struct Checker {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    n_terms: usize,
}

impl Checker {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.next)
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.next += usize::from(is_there);
        is_there
    }

    fn word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Name(found)) if found.eq_ignore_ascii_case(word));
        self.next += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<(), NotEvaluable> {
        if self.sign(sign) { Ok(()) } else { Err(wrong(format!("expected `{sign}`, found {}", self.found()))) }
    }

    fn found(&self) -> String {
        self.peek().map_or_else(|| "the end".to_owned(), Token::shown)
    }

    /// Operands with operators between them.
    fn chain(&mut self) -> Result<Vec<Look>, NotEvaluable> {
        let mut looks = self.operand()?;
        while self.operator() {
            self.modifiers()?;
            looks.extend(self.operand()?);
            if looks.len() > TERMS_MAX {
                looks.sort_unstable();
                looks.dedup();
            }
        }
        Ok(looks)
    }

    fn operator(&mut self) -> bool {
        let is_operator = match self.peek() {
            Some(Token::Sign(sign)) => {
                matches!(*sign, "+" | "-" | "*" | "/" | "%" | "^" | "==" | "!=" | ">" | "<" | ">=" | "<=")
            }
            Some(Token::Name(name)) => WORD_OPERATORS.iter().any(|word| name.eq_ignore_ascii_case(word)),
            Some(Token::Text(_) | Token::Number(_) | Token::Duration(_)) | None => false,
        };
        self.next += usize::from(is_operator);
        is_operator
    }

    /// `bool`, `on (…)`, `group_left (…)` and the like behind an operator.
    fn modifiers(&mut self) -> Result<(), NotEvaluable> {
        self.word("bool");
        if self.word("on") || self.word("ignoring") {
            self.labels()?;
        }
        if (self.word("group_left") || self.word("group_right"))
            && matches!(self.peek(), Some(Token::Sign("(")))
            && self.is_label_list()
        {
            self.labels()?;
        }
        Ok(())
    }

    /// Whether the brackets that follow hold labels: `group_left (a)` may also be followed by an operand in brackets.
    fn is_label_list(&self) -> bool {
        let mut inside = self.tokens[self.next + 1..].iter();
        let mut wants_label = true;
        loop {
            match inside.next() {
                Some(Token::Sign(")")) => break,
                Some(Token::Name(_) | Token::Text(_)) if wants_label => wants_label = false,
                Some(Token::Sign(",")) if !wants_label => wants_label = true,
                Some(_) | None => return false,
            }
        }
        // An operand must follow, or the brackets were it.
        !matches!(inside.next(), None | Some(Token::Sign(")" | ",")))
    }

    fn labels(&mut self) -> Result<(), NotEvaluable> {
        self.expect("(")?;
        while !self.sign(")") {
            match self.peek() {
                Some(Token::Name(_) | Token::Text(_)) => self.next += 1,
                Some(Token::Sign(_) | Token::Number(_) | Token::Duration(_)) | None => {
                    return Err(wrong(format!("expected a label name, found {}", self.found())));
                }
            }
            if !self.sign(",") {
                return self.expect(")");
            }
        }
        Ok(())
    }

    fn operand(&mut self) -> Result<Vec<Look>, NotEvaluable> {
        self.n_terms += 1;
        if self.n_terms > TERMS_MAX {
            return Err(wrong(format!("it has more than {TERMS_MAX} terms; split it or use a recording rule")));
        }
        while self.sign("-") || self.sign("+") {}
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(wrong(format!("it is nested more than {DEPTH_MAX} deep")));
        }
        let looks = self.term()?;
        self.depth -= 1;
        self.behind(looks)
    }

    fn term(&mut self) -> Result<Vec<Look>, NotEvaluable> {
        const NEWEST: Look = Look { offset: Duration::ZERO, window: Duration::ZERO };
        match self.peek().cloned() {
            Some(Token::Sign("(")) => {
                self.next += 1;
                let looks = self.chain()?;
                self.expect(")")?;
                Ok(looks)
            }
            Some(Token::Sign("{")) => self.matchers().map(|()| vec![NEWEST]),
            Some(Token::Number(_) | Token::Text(_) | Token::Duration(_)) => {
                self.next += 1;
                Ok(Vec::new())
            }
            Some(Token::Name(name)) => {
                self.next += 1;
                let is_call = matches!(self.peek(), Some(Token::Sign("(")));
                if AGGREGATIONS.iter().any(|known| name.eq_ignore_ascii_case(known))
                    && (is_call || matches!(self.peek(), Some(Token::Name(word)) if is_grouping(word)))
                {
                    let has_grouping = self.grouping()?;
                    let looks = self.arguments()?;
                    if !has_grouping {
                        self.grouping()?;
                    }
                    return Ok(looks);
                }
                if is_call {
                    return self.arguments();
                }
                let is_number = name.eq_ignore_ascii_case("inf") || name.eq_ignore_ascii_case("nan");
                if matches!(self.peek(), Some(Token::Sign("{"))) {
                    self.matchers()?;
                }
                Ok(if is_number { Vec::new() } else { vec![NEWEST] })
            }
            Some(Token::Sign(_)) | None => {
                Err(wrong(format!("expected a metric, a function or a number, found {}", self.found())))
            }
        }
    }

    fn grouping(&mut self) -> Result<bool, NotEvaluable> {
        let is_there = self.word("by") || self.word("without");
        if is_there {
            self.labels()?;
        }
        Ok(is_there)
    }

    fn arguments(&mut self) -> Result<Vec<Look>, NotEvaluable> {
        self.expect("(")?;
        let mut looks = Vec::new();
        if self.sign(")") {
            return Ok(looks);
        }
        loop {
            looks.extend(self.chain()?);
            if !self.sign(",") {
                self.expect(")")?;
                return Ok(looks);
            }
        }
    }

    fn matchers(&mut self) -> Result<(), NotEvaluable> {
        self.expect("{")?;
        while !self.sign("}") {
            let is_quoted = match self.peek() {
                Some(Token::Name(_)) => false,
                Some(Token::Text(_)) => true,
                Some(Token::Sign(_) | Token::Number(_) | Token::Duration(_)) | None => {
                    return Err(wrong(format!("expected a label name, found {}", self.found())));
                }
            };
            self.next += 1;
            let is_name_alone = is_quoted && matches!(self.peek(), Some(Token::Sign("," | "}")));
            if !is_name_alone {
                match self.peek() {
                    Some(Token::Sign("=" | "!=" | "=~" | "!~")) => self.next += 1,
                    Some(_) | None => {
                        return Err(wrong(format!("expected a label matcher (=, !=, =~, !~), found {}", self.found())));
                    }
                }
                match self.peek() {
                    Some(Token::Text(_)) => self.next += 1,
                    Some(_) | None => {
                        return Err(wrong(format!("expected a quoted label value, found {}", self.found())));
                    }
                }
            }
            // VictoriaMetrics joins alternatives with `or`.
            if !(self.sign(",") || self.word("or")) {
                return self.expect("}");
            }
        }
        Ok(())
    }

    /// What may stand behind an operand: a range, a subquery, an offset, a moment.
    fn behind(&mut self, mut looks: Vec<Look>) -> Result<Vec<Look>, NotEvaluable> {
        loop {
            if self.sign("[") {
                let window = self.range()?;
                looks.iter_mut().for_each(|look| look.window = look.window.saturating_add(window));
            } else if self.word("offset") {
                let is_later = self.sign("-");
                let offset = self.duration()?;
                if !is_later {
                    looks.iter_mut().for_each(|look| look.offset = look.offset.saturating_add(offset));
                }
            } else if self.sign("@") {
                self.moment()?;
                // The same moment for every row: nothing of it goes with the row's own time.
                looks.clear();
            } else if !self.word("keep_metric_names") {
                return Ok(looks);
            }
        }
    }

    /// Behind `[`: a range, or a subquery's range and step.
    fn range(&mut self) -> Result<Duration, NotEvaluable> {
        let window = self.duration()?;
        if let Some(Token::Name(name)) = self.peek().cloned()
            && let Some(step) = name.strip_prefix(':')
        {
            self.next += 1;
            if step.is_empty() && !matches!(self.peek(), Some(Token::Sign("]"))) {
                self.duration()?;
            } else if !step.is_empty() && homeostat_core::parse_duration(step).is_err() {
                return Err(wrong(format!("invalid duration {step:?}")));
            }
        }
        self.expect("]")?;
        if window.is_zero() {
            return Err(wrong("a range must be longer than 0"));
        }
        Ok(window)
    }

    fn duration(&mut self) -> Result<Duration, NotEvaluable> {
        let duration = match self.peek() {
            Some(Token::Duration(duration)) => *duration,
            // Prometheus 3 takes plain seconds, too.
            Some(Token::Number(secs)) => {
                Duration::try_from_secs_f64(*secs).map_err(|_| wrong(format!("invalid duration {secs}")))?
            }
            Some(_) | None => return Err(wrong(format!("expected a duration, found {}", self.found()))),
        };
        self.next += 1;
        Ok(duration)
    }

    /// Behind `@`: seconds since 1970, `start()` or `end()`.
    fn moment(&mut self) -> Result<(), NotEvaluable> {
        self.sign("-");
        if self.word("start") || self.word("end") {
            self.expect("(")?;
            return self.expect(")");
        }
        match self.peek() {
            Some(Token::Number(_)) => {
                self.next += 1;
                Ok(())
            }
            Some(_) | None => Err(wrong(format!("expected a timestamp, start() or end(), found {}", self.found()))),
        }
    }
}

fn is_grouping(word: &str) -> bool {
    word.eq_ignore_ascii_case("by") || word.eq_ignore_ascii_case("without")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Vec<(u64, u64)> {
        let looks = looks(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        looks.iter().map(|look| (look.offset.as_secs(), look.window.as_secs())).collect()
    }

    #[test]
    fn an_expression_says_how_far_back_it_looks() {
        for (text, wanted) in [
            ("up", &[(0, 0)][..]),
            ("rate(x[5m])", &[(0, 300)]),
            ("sum by (a) (rate(x{b=~\"c.*\"}[5m])) / sum by (a) (y)", &[(0, 0), (0, 300)]),
            ("max_over_time(rate(x[5m])[30m:1m])", &[(0, 2_100)]),
            ("max_over_time(x[30m:])", &[(0, 1_800)]),
            ("rate(x[5m] offset 1h)", &[(3_600, 300)]),
            ("x offset -5m", &[(0, 0)]),
            ("rate(x[5m] @ end())", &[]),
            ("1 + 2", &[]),
            ("topk by (a, b) (1, max without (c) (increase(x[10m] offset 1d)))", &[(86_400, 600)]),
            ("a * on (n, r) group_left (w) (b + c)", &[(0, 0)]),
            ("a * on (n) group_left (b)", &[(0, 0)]),
            ("-(rate(x[300]) ^ 2) >= bool 0", &[(0, 300)]),
            ("histogram_quantile(0.99, sum by (le) (rate(x_bucket{le!=''}[2m])))", &[(0, 120)]),
            ("{__name__=~'a|b', 'x.y'=\"z\",}", &[(0, 0)]),
            ("{\"a.metric\", job='x'} unless on () vector(1)", &[(0, 0)]),
            ("sum(x) by (a)", &[(0, 0)]),
            ("WITH (f = x) sum(rate(f[5m]))", &[]),
            ("NaN or Inf or absent(x{a='b\\'c'}) atan2 0x1F", &[(0, 0)]),
        ] {
            assert_eq!(seconds(text), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_promql_is_refused_and_says_where() {
        for (text, part) in [
            ("", "empty"),
            ("sum(rate(x[5m])", "expected `)`, found the end"),
            ("sum(x))", "unexpected `)`"),
            ("rate(x[5m)", "expected `]`"),
            ("rate(x[5])", ""),
            ("rate(x[])", "expected a duration"),
            ("x y", "unexpected `y`"),
            ("x +", "expected a metric"),
            ("x{a=b}", "expected a quoted label value"),
            ("x{a}", "expected a label matcher"),
            ("x{a=\"b\"", "expected `}`"),
            ("sum by (a, (x)", "expected a label name"),
            ("x{a=\"b", "quote"),
            ("x offset y", "expected a duration"),
            ("x; y", "';'"),
        ] {
            let found = looks(text).map(|_| ()).map_err(|why| why.to_string());
            match part {
                "" => assert_eq!(found, Ok(()), "{text}"),
                part => assert!(found.as_ref().is_err_and(|why| why.contains(part)), "{text}: {found:?}"),
            }
        }
    }

    #[test]
    fn long_and_deep_expressions_are_bounded_and_take_no_stack() {
        let long = vec!["x"; 16_000].join(" + ");
        assert!(looks(&long).is_err_and(|why| why.to_string().contains("terms")));
        let deep = format!("{}x{}", "(".repeat(100_000), ")".repeat(100_000));
        assert!(looks(&deep).is_err_and(|why| why.to_string().contains("nested")));
        let minus = format!("{}x", "-".repeat(1_000_000));
        assert!(looks(&minus).is_ok(), "signs are a loop");
    }

    #[test]
    fn the_presets_and_what_promql_parser_accepts_are_accepted() {
        let params = crate::PresetParams::for_intervals(Duration::from_secs(30), Duration::from_secs(60));
        for name in crate::PRESET_NAMES {
            for query in crate::preset(name, &params).expect("a preset").queries {
                assert!(looks(&query.expr).is_ok(), "{}", query.expr);
            }
        }
        for text in [
            "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / ignoring (code) group_right sum(x)",
            "count_values(\"version\", build_version)",
            "quantile(0.9, x) > bool 1 and on (a) y or z",
            "(sum(x) + sum(y)) * 100 % 7 ^ 2",
            "label_replace(up, \"a\", \"$1\", \"b\", \"(.*)\")",
            "x[5m:] offset 1w",
            "min_over_time((a / b)[1h:5m])",
            "x @ 1609746000",
        ] {
            assert!(promql_parser::parser::parse(text).is_ok(), "the other parser: {text}");
            assert!(looks(text).is_ok(), "{text}: {:?}", looks(text));
        }
    }
}
