//! Text to commands: the lexer, and a recursive-descent parser with the precedence of SQL.

use super::{Aggregate, Command, Expression, Function, Named, Operator, Value};

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    /// A name in backticks.
    Quoted(String),
    Text(String),
    Number(f64),
    /// `5m`, in milliseconds.
    Period(u64),
    Symbol(&'static str),
}

/// A token and where it begins.
type Placed = (Token, usize);

const SYMBOLS: [&str; 18] =
    ["<=", ">=", "!=", "|", ",", "(", ")", "[", "]", "=", "<", ">", "+", "-", "*", "/", "%", "^"];

pub(super) fn query(text: &str) -> Result<Vec<Command>, String> {
    let mut parser = Parser { text, tokens: tokens(text)?, at: 0 };
    let mut commands = vec![parser.command()?];
    while parser.takes("|") {
        commands.push(parser.command()?);
    }
    match parser.peek() {
        None => Ok(commands),
        Some(_) => Err(parser.unexpected("`|`")),
    }
}

fn tokens(text: &str) -> Result<Vec<Placed>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let at = text.len() - rest.len();
        let Some(first) = rest.chars().next() else { return Ok(found) };
        if first == '#' {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        let (token, length) = if let '"' | '\'' | '`' = first {
            let inner = &rest[1..];
            let end = inner.find(first).ok_or_else(|| format!("{first} at {at} has no end"))?;
            let inner = &inner[..end];
            if inner.contains('\\') {
                return Err(format!("an escape at {at} is unsupported"));
            }
            let token = if first == '`' { Token::Quoted(inner.to_owned()) } else { Token::Text(inner.to_owned()) };
            (token, end + 2)
        } else if first.is_ascii_digit() {
            number(rest, at)?
        } else if first.is_ascii_alphabetic() || first == '_' || first == '@' {
            let is_part = |c: char| c.is_ascii_alphanumeric() || "_@.".contains(c);
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            (Token::Word(rest[..end].to_owned()), end)
        } else {
            let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
            let symbol = symbol.ok_or_else(|| format!("unknown character `{first}` at {at}"))?;
            (Token::Symbol(symbol), symbol.len())
        };
        found.push((token, at));
        rest = &rest[length..];
    }
}

/// A number, or a period such as `5m`.
fn number(rest: &str, at: usize) -> Result<(Token, usize), String> {
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let unit = rest[digits..].find(|c: char| !c.is_ascii_alphanumeric()).map_or(rest.len(), |end| digits + end);
    let number: f64 = rest[..digits].parse().map_err(|_| format!("`{}` at {at} is not a number", &rest[..digits]))?;
    let milliseconds = match &rest[digits..unit] {
        "" => return Ok((Token::Number(number), digits)),
        "s" => 1_000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        other => return Err(format!("unknown unit `{other}` at {at}")),
    };
    Ok((Token::Period((number * milliseconds) as u64), unit))
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Placed>,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn begin(&self) -> usize {
        self.tokens.get(self.at).map_or(self.text.len(), |(_, at)| *at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek().cloned();
        self.at += usize::from(token.is_some());
        token
    }

    fn unexpected(&self, wanted: &str) -> String {
        let rest: String = self.text[self.begin()..].chars().take(30).collect();
        format!("expected {wanted} at `{rest}`")
    }

    /// Takes a symbol or a word of the language, in any case, if it is next.
    fn takes(&mut self, wanted: &str) -> bool {
        let is_it = match self.peek() {
            Some(Token::Symbol(symbol)) => *symbol == wanted,
            Some(Token::Word(word)) => word.eq_ignore_ascii_case(wanted),
            _ => false,
        };
        self.at += usize::from(is_it);
        is_it
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.takes(wanted) { Ok(()) } else { Err(self.unexpected(&format!("`{wanted}`"))) }
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let mut items = vec![item(self)?];
        while self.takes(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn command(&mut self) -> Result<Command, String> {
        if self.takes("fields") {
            Ok(Command::Fields(self.list(Self::named)?))
        } else if self.takes("filter") {
            Ok(Command::Filter(self.expression()?))
        } else if self.takes("stats") {
            let values = self.list(Self::named)?;
            let by = if self.takes("by") { self.list(Self::named)? } else { Vec::new() };
            Ok(Command::Stats { values, by })
        } else if self.takes("sort") {
            Ok(Command::Sort(self.list(|parser| {
                let key = parser.expression()?;
                let descending = parser.takes("desc");
                if !descending {
                    parser.takes("asc");
                }
                Ok((key, descending))
            })?))
        } else if self.takes("limit") {
            match self.next() {
                Some(Token::Number(number)) if number.fract() == 0.0 => Ok(Command::Limit(number as usize)),
                _ => Err("`limit` needs a whole number".to_owned()),
            }
        } else {
            Err(self.unexpected("a command"))
        }
    }

    /// An expression, and its name: that after `as`, or its text.
    fn named(&mut self) -> Result<Named, String> {
        let begin = self.begin();
        let value = self.expression()?;
        let text = self.text[begin..self.begin()].trim().to_owned();
        let name = if self.takes("as") { self.name()? } else { text };
        Ok(Named { name, value })
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Word(name) | Token::Quoted(name)) => Ok(name),
            _ => Err("a name is missing".to_owned()),
        }
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.left(&[("or", Operator::Or)], |parser| parser.left(&[("and", Operator::And)], Self::negation))
    }

    /// Operators of equal precedence, from left to right.
    fn left(
        &mut self,
        operators: &[(&str, Operator)],
        operand: fn(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = operand(self)?;
        while let Some((_, operator)) = operators.iter().find(|(text, _)| self.takes(text)) {
            left = Expression::Binary(*operator, Box::new(left), Box::new(operand(self)?));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Result<Expression, String> {
        if self.takes("not") { Ok(Expression::Not(Box::new(self.negation()?))) } else { self.comparison() }
    }

    fn comparison(&mut self) -> Result<Expression, String> {
        const COMPARISONS: [(&str, Operator); 6] = [
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let left = self.sum()?;
        if self.takes("in") {
            self.expect("[")?;
            let list = self.list(|parser| match parser.next() {
                Some(Token::Text(text)) => Ok(Value::Text(text)),
                Some(Token::Number(number)) => Ok(Value::Number(number)),
                _ => Err("a list has texts and numbers only".to_owned()),
            })?;
            self.expect("]")?;
            return Ok(Expression::In(Box::new(left), list));
        }
        match COMPARISONS.iter().find(|(text, _)| self.takes(text)) {
            Some((_, operator)) => Ok(Expression::Binary(*operator, Box::new(left), Box::new(self.sum()?))),
            None => Ok(left),
        }
    }

    fn sum(&mut self) -> Result<Expression, String> {
        self.left(&[("+", Operator::Add), ("-", Operator::Subtract)], |parser| {
            parser.left(&[("*", Operator::Multiply), ("/", Operator::Divide)], Self::primary)
        })
    }

    fn primary(&mut self) -> Result<Expression, String> {
        if self.takes("(") {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let wanted = self.unexpected("a value");
        match self.next() {
            Some(Token::Text(text)) => Ok(Expression::Literal(Value::Text(text))),
            Some(Token::Number(number)) => Ok(Expression::Literal(Value::Number(number))),
            Some(Token::Quoted(name)) => Ok(Expression::Field(name)),
            Some(Token::Word(name)) if self.takes("(") => self.call(&name),
            Some(Token::Word(name)) => Ok(Expression::Field(name)),
            _ => Err(wanted),
        }
    }

    /// A function, after its parenthesis.
    fn call(&mut self, name: &str) -> Result<Expression, String> {
        let expression = match name.to_ascii_lowercase().as_str() {
            "bin" => match self.next() {
                Some(Token::Period(milliseconds)) => Expression::Bin(milliseconds),
                _ => return Err("`bin` needs a period such as `5m`".to_owned()),
            },
            "count" if self.takes("*") => Expression::CountAll,
            "pct" => {
                let value = Box::new(self.expression()?);
                self.expect(",")?;
                match self.next() {
                    Some(Token::Number(percent)) => Expression::Aggregate(Aggregate::Pct(percent), value),
                    _ => return Err("`pct` needs a number".to_owned()),
                }
            }
            "coalesce" => Expression::Call(Function::Coalesce, self.list(Self::expression)?),
            "ispresent" => Expression::Call(Function::IsPresent, vec![self.expression()?]),
            other => {
                let aggregate = match other {
                    "count" => Aggregate::Count,
                    "sum" => Aggregate::Sum,
                    "avg" => Aggregate::Avg,
                    "min" => Aggregate::Min,
                    "max" => Aggregate::Max,
                    "earliest" => Aggregate::Earliest,
                    "latest" => Aggregate::Latest,
                    _ => return Err(format!("unknown function `{name}`")),
                };
                Expression::Aggregate(aggregate, Box::new(self.expression()?))
            }
        };
        self.expect(")")?;
        Ok(expression)
    }
}
