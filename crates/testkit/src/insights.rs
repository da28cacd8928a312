//! CloudWatch Logs Insights as far as `deploy/monitoring/queries` uses it: parses a query and runs it over log events. It is stricter
//! than AWS: an unknown word is an error, and so is a query whose result depends on behaviour that AWS does not document, such as `!=`
//! with a field that is absent. Sources: AWS, CloudWatch Logs User Guide, "Logs Insights QL".
//!
//! Owns the language and the discovery of fields; knows nothing of our log lines. The lexer and the parser are in `parse`.

mod discovery;
mod parse;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

pub use discovery::{Event, MOST_FIELDS};

/// A value of a field or an expression. Booleans are the numbers 0 and 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number, a boolean, or a time in milliseconds.
    Number(f64),
    /// A text.
    Text(String),
}

/// The events of a log with their fields, the latest first, as the console shows them.
#[derive(Debug)]
pub struct Log(Vec<Row>);

/// A parsed query.
#[derive(Debug)]
pub struct Query(Vec<Command>);

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// A value for each column; `None` for an empty cell.
    pub rows: Vec<Vec<Option<Value>>>,
}

#[derive(Debug)]
enum Command {
    Fields(Vec<Named>),
    Filter(Expression),
    Stats {
        values: Vec<Named>,
        by: Vec<Named>,
    },
    /// With `true` for descending order.
    Sort(Vec<(Expression, bool)>),
    Limit(usize),
}

#[derive(Debug)]
struct Named {
    name: String,
    value: Expression,
}

#[derive(Clone, Debug)]
enum Expression {
    Literal(Value),
    Field(String),
    Binary(Operator, Box<Expression>, Box<Expression>),
    Not(Box<Expression>),
    In(Box<Expression>, Vec<Value>),
    Call(Function, Vec<Expression>),
    /// In milliseconds.
    Bin(u64),
    Aggregate(Aggregate, Box<Expression>),
    CountAll,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Coalesce,
    IsPresent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Aggregate {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    Earliest,
    Latest,
    Pct(f64),
}

type Row = HashMap<String, Value>;

const TIMESTAMP: &str = "@timestamp";

impl Log {
    /// A log of these events, which may come in any order.
    #[must_use]
    pub fn new<'e>(events: impl IntoIterator<Item = &'e Event>) -> Self {
        let mut rows: Vec<Row> = events.into_iter().map(Event::fields).collect();
        rows.sort_by(|a, b| order(b.get(TIMESTAMP), a.get(TIMESTAMP)));
        Self(rows)
    }
}

impl Query {
    /// Parses a query.
    ///
    /// # Errors
    /// A text that is not a query, or has a word that this module does not know.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse::query(text).map(Self)
    }

    /// The fields of log events that the query mentions, without the names that it defines itself.
    #[must_use]
    pub fn fields(&self) -> BTreeSet<String> {
        let (mut found, mut defined) = (BTreeSet::new(), BTreeSet::new());
        let mut visit = |expression: &Expression, defined: &BTreeSet<String>| {
            expression.each_field(&mut |name| {
                if !defined.contains(name) {
                    found.insert(name.to_owned());
                }
            });
        };
        for command in &self.0 {
            let named: Vec<&Named> = match command {
                Command::Fields(list) => list.iter().collect(),
                Command::Stats { values, by } => values.iter().chain(by).collect(),
                Command::Filter(condition) => {
                    visit(condition, &defined);
                    continue;
                }
                Command::Sort(keys) => {
                    keys.iter().for_each(|(key, _)| visit(key, &defined));
                    continue;
                }
                Command::Limit(_) => continue,
            };
            for named in named {
                visit(&named.value, &defined);
                if !matches!(&named.value, Expression::Field(field) if *field == named.name) {
                    defined.insert(named.name.clone());
                }
            }
        }
        found
    }

    /// Runs the query over a log.
    ///
    /// # Errors
    /// The result would depend on undocumented behaviour: the message says on which.
    pub fn run(&self, log: &Log) -> Result<Table, String> {
        let mut rows: Vec<Cow<'_, Row>> = log.0.iter().map(Cow::Borrowed).collect();
        let mut columns = vec![TIMESTAMP.to_owned(), "@message".to_owned()];
        for command in &self.0 {
            match command {
                Command::Filter(condition) => {
                    let mut kept = Vec::new();
                    for row in rows {
                        if is_true(&condition.value(&row)?) {
                            kept.push(row);
                        }
                    }
                    rows = kept;
                }
                Command::Fields(list) => {
                    for row in &mut rows {
                        for Named { name, value } in list {
                            let value = value.value(row)?;
                            match value {
                                Some(value) => row.to_mut().insert(name.clone(), value),
                                None => row.to_mut().remove(name),
                            };
                        }
                    }
                    columns = list.iter().map(|named| named.name.clone()).collect();
                }
                Command::Stats { values, by } => {
                    rows = stats(&rows, values, by)?.into_iter().map(Cow::Owned).collect();
                    columns = by.iter().chain(values).map(|named| named.name.clone()).collect();
                }
                Command::Sort(keys) => sort(&mut rows, keys)?,
                Command::Limit(limit) => rows.truncate(*limit),
            }
        }
        let rows = rows.iter().map(|row| columns.iter().map(|name| row.get(name).cloned()).collect()).collect();
        Ok(Table { columns, rows })
    }
}

/// The rows of a `stats` command, by their groups in ascending order: AWS documents none.
fn stats(rows: &[Cow<'_, Row>], values: &[Named], by: &[Named]) -> Result<Vec<Row>, String> {
    let mut groups: BTreeMap<Vec<Key>, Vec<&Row>> = BTreeMap::new();
    for row in rows {
        let mut key = Vec::new();
        for named in by {
            let value = named.value.value(row)?;
            key.push(Key(value.ok_or_else(|| format!("`{}` groups events that lack it: use coalesce()", named.name))?));
        }
        groups.entry(key).or_default().push(row);
    }
    let mut results = Vec::new();
    for (key, group) in groups {
        let mut result: Row = by.iter().map(|named| named.name.clone()).zip(key.into_iter().map(|key| key.0)).collect();
        for named in values {
            if let Some(value) = named.value.aggregate(&group)? {
                result.insert(named.name.clone(), value);
            }
        }
        results.push(result);
    }
    Ok(results)
}

fn sort(rows: &mut Vec<Cow<'_, Row>>, keys: &[(Expression, bool)]) -> Result<(), String> {
    let mut keyed = Vec::new();
    for row in rows.drain(..) {
        let values: Vec<_> = keys.iter().map(|(key, _)| key.value(&row)).collect::<Result<_, _>>()?;
        keyed.push((values, row));
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let compared = keys.iter().zip(a.iter().zip(b)).map(|((_, descending), (a, b))| {
            let order = order(a.as_ref(), b.as_ref());
            if *descending { order.reverse() } else { order }
        });
        compared.fold(Ordering::Equal, Ordering::then)
    });
    rows.extend(keyed.into_iter().map(|(_, row)| row));
    Ok(())
}

impl Expression {
    fn each_field(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Expression::Field(name) => visit(name),
            Expression::Bin(_) => visit(TIMESTAMP),
            Expression::Binary(_, a, b) => {
                a.each_field(visit);
                b.each_field(visit);
            }
            Expression::Not(inner) | Expression::In(inner, _) | Expression::Aggregate(_, inner) => {
                inner.each_field(visit)
            }
            Expression::Call(_, arguments) => arguments.iter().for_each(|argument| argument.each_field(visit)),
            Expression::Literal(_) | Expression::CountAll => (),
        }
    }

    /// The value for one event, `None` if a field that it needs is absent.
    fn value(&self, row: &Row) -> Result<Option<Value>, String> {
        Ok(match self {
            Expression::Literal(value) => Some(value.clone()),
            Expression::Field(name) => row.get(name).cloned(),
            Expression::Bin(period) => row.get(TIMESTAMP).map(|time| match time {
                Value::Number(time) => Value::Number((time / *period as f64).floor() * *period as f64),
                Value::Text(text) => Value::Text(text.clone()),
            }),
            Expression::Not(inner) => match inner.value(row)? {
                Some(value) => Some(boolean(!truth(&value)?)),
                None => return Err("`not` of an absent field".to_owned()),
            },
            Expression::In(inner, list) => inner.value(row)?.map(|value| boolean(list.contains(&value))),
            Expression::Call(Function::IsPresent, arguments) => Some(boolean(arguments[0].value(row)?.is_some())),
            Expression::Call(Function::Coalesce, arguments) => {
                let mut found = None;
                for argument in arguments {
                    found = argument.value(row)?;
                    if found.is_some() {
                        break;
                    }
                }
                found
            }
            Expression::Binary(operator, a, b) => binary(*operator, a.value(row)?, b.value(row)?)?,
            Expression::Aggregate(..) | Expression::CountAll => {
                return Err("an aggregation outside of `stats`".to_owned());
            }
        })
    }

    /// The value for a group of events, the latest first.
    fn aggregate(&self, group: &[&Row]) -> Result<Option<Value>, String> {
        match self {
            Expression::CountAll => Ok(Some(Value::Number(group.len() as f64))),
            Expression::Literal(value) => Ok(Some(value.clone())),
            Expression::Binary(operator, a, b) => binary(*operator, a.aggregate(group)?, b.aggregate(group)?),
            Expression::Aggregate(aggregate, inner) => {
                let values: Vec<Option<Value>> = group.iter().map(|row| inner.value(row)).collect::<Result<_, _>>()?;
                if *aggregate == Aggregate::Sum && values.contains(&None) {
                    return Err("a sum over events that lack the field: use coalesce()".to_owned());
                }
                aggregate.of(values.into_iter().flatten().collect())
            }
            _ => Err("`stats` needs an aggregation for each value".to_owned()),
        }
    }
}

impl Aggregate {
    /// The aggregation of the values that are present, the latest first.
    fn of(self, values: Vec<Value>) -> Result<Option<Value>, String> {
        match self {
            Aggregate::Count => return Ok(Some(Value::Number(values.len() as f64))),
            Aggregate::Earliest => return Ok(values.last().cloned()),
            Aggregate::Latest => return Ok(values.first().cloned()),
            _ => (),
        }
        let mut numbers: Vec<f64> = values.iter().map(number).collect::<Result<_, _>>()?;
        numbers.sort_by(f64::total_cmp);
        let sum = || numbers.iter().sum::<f64>();
        let (Some(least), Some(most)) = (numbers.first(), numbers.last()) else {
            return Ok(None);
        };
        Ok(Some(Value::Number(match self {
            Aggregate::Sum => sum(),
            Aggregate::Avg => sum() / numbers.len() as f64,
            Aggregate::Min => *least,
            Aggregate::Max => *most,
            Aggregate::Pct(percent) => {
                let rank = (percent / 100.0 * numbers.len() as f64).ceil().max(1.0) as usize;
                numbers[rank.min(numbers.len()) - 1]
            }
            Aggregate::Count | Aggregate::Earliest | Aggregate::Latest => unreachable!("see above"),
        })))
    }
}

fn binary(operator: Operator, a: Option<Value>, b: Option<Value>) -> Result<Option<Value>, String> {
    use Operator::{
        Add, And, Divide, Equal, Greater, GreaterOrEqual, Less, LessOrEqual, Multiply, NotEqual, Or, Subtract,
    };
    if let And | Or = operator {
        // One operand decides if it is false for `and`, or true for `or`; otherwise an absent one makes the result absent.
        let (a, b) = (a.as_ref().map(truth).transpose()?, b.as_ref().map(truth).transpose()?);
        let decides = operator == Or;
        return Ok(match (a, b) {
            (Some(it), _) | (_, Some(it)) if it == decides => Some(boolean(decides)),
            _ if b == Some(decides) => Some(boolean(decides)),
            (Some(_), Some(_)) => Some(boolean(!decides)),
            _ => None,
        });
    }
    let (Some(a), Some(b)) = (a, b) else {
        return if operator == NotEqual {
            Err("`!=` with an absent field: use coalesce()".to_owned())
        } else {
            Ok(None)
        };
    };
    Ok(Some(match operator {
        Equal => boolean(a == b),
        NotEqual => boolean(a != b),
        Less => boolean(number(&a)? < number(&b)?),
        LessOrEqual => boolean(number(&a)? <= number(&b)?),
        Greater => boolean(number(&a)? > number(&b)?),
        GreaterOrEqual => boolean(number(&a)? >= number(&b)?),
        Add => Value::Number(number(&a)? + number(&b)?),
        Subtract => Value::Number(number(&a)? - number(&b)?),
        Multiply => Value::Number(number(&a)? * number(&b)?),
        Divide if number(&b)? == 0.0 => return Err("a division by zero".to_owned()),
        Divide => Value::Number(number(&a)? / number(&b)?),
        And | Or => unreachable!("see above"),
    }))
}

fn boolean(value: bool) -> Value {
    Value::Number(f64::from(u8::from(value)))
}

fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Number(number) => Ok(*number),
        Value::Text(text) => Err(format!("`{text}` is not a number")),
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Number(0.0) => Ok(false),
        Value::Number(1.0) => Ok(true),
        other => Err(format!("{other:?} is neither true nor false")),
    }
}

fn is_true(value: &Option<Value>) -> bool {
    *value == Some(boolean(true))
}

/// Absent values come last.
fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.total_cmp(b),
        (Some(Value::Text(a)), Some(Value::Text(b))) => a.cmp(b),
        (Some(Value::Number(_)), Some(Value::Text(_))) => Ordering::Less,
        (Some(Value::Text(_)), Some(Value::Number(_))) => Ordering::Greater,
        (None, None) => Ordering::Equal,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
    }
}

/// A value of a group.
struct Key(Value);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        order(Some(&self.0), Some(&other.0))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

impl Table {
    /// The cells as texts: numbers with up to two decimals, nothing for an absent value.
    #[must_use]
    pub fn texts(&self) -> Vec<Vec<String>> {
        let text = |value: &Option<Value>| match value {
            None => String::new(),
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Number(number)) => {
                let text = format!("{number:.2}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
        };
        self.rows.iter().map(|row| row.iter().map(text).collect()).collect()
    }
}

/// Columns of equal width, with a title line.
impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let texts = self.texts();
        let lines = || std::iter::once(&self.columns).chain(&texts);
        let widths: Vec<usize> =
            (0..self.columns.len()).map(|at| lines().map(|line| line[at].chars().count()).max().unwrap_or(0)).collect();
        for line in lines() {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
