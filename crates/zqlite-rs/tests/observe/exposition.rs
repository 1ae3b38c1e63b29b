//! A strict reader of Prometheus' text format, version 0.0.4: what it returns was written as the format says.

use std::collections::{BTreeMap, BTreeSet};

/// What a scrape says.
#[derive(Debug, Default)]
pub(crate) struct Exposition {
    /// Kind of each measurement.
    pub(crate) kinds: BTreeMap<String, String>,
    pub(crate) helps: BTreeMap<String, String>,
    /// Value of each series: name, and labels in the order of their names.
    pub(crate) series: BTreeMap<Series, f64>,
}

pub(crate) type Series = (String, Labels);

type Labels = Vec<(String, String)>;

impl Exposition {
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        labels.sort();
        self.series.get(&(name.to_owned(), labels)).copied()
    }
}

/// Reads a scrape, or says what is wrong with it.
pub(crate) fn read(text: &str) -> Result<Exposition, String> {
    if !text.ends_with('\n') {
        return Err("the last line does not end".to_owned());
    }
    let mut found = Exposition::default();
    let mut finished = BTreeSet::new();
    let mut current = String::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let wrong = |what: &str| Err(format!("{what}: {line}"));
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            check_name(name, ':')?;
            if found.helps.insert(name.into(), help.into()).is_some() {
                return wrong("a second HELP");
            }
            enter(&mut current, &mut finished, name)?;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else {
                return wrong("no kind");
            };
            check_name(name, ':')?;
            if !["counter", "gauge", "histogram", "summary", "untyped"].contains(&kind) {
                return wrong("an unknown kind");
            }
            if found.kinds.insert(name.into(), kind.into()).is_some() {
                return wrong("a second TYPE");
            }
            enter(&mut current, &mut finished, name)?;
        } else if line.starts_with('#') {
            return wrong("a comment that is neither HELP nor TYPE");
        } else {
            let (series, value) = read_sample(line)?;
            let Some(kind) = found.kinds.get(&current) else {
                return wrong("a sample before its TYPE");
            };
            let parts: &[&str] = match kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                "summary" => &["", "_sum", "_count"],
                _ => &[""],
            };
            let part = series.0.strip_prefix(current.as_str());
            if !part.is_some_and(|part| parts.contains(&part)) {
                return wrong("a sample of another measurement");
            }
            if kind == "counter" && (value.is_nan() || value < 0.0) {
                return wrong("a counter below zero");
            }
            if found.series.insert(series, value).is_some() {
                return wrong("a second sample of a series");
            }
        }
    }
    check_histograms(&found)?;
    Ok(found)
}

/// All lines of a measurement stand together.
fn enter(current: &mut String, finished: &mut BTreeSet<String>, name: &str) -> Result<(), String> {
    if current != name {
        finished.insert(std::mem::replace(current, name.to_owned()));
        if finished.contains(name) {
            return Err(format!("{name} stands in two places"));
        }
    }
    Ok(())
}

fn check_name(name: &str, also: char) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || c == also;
    if name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit()) {
        Ok(())
    } else {
        Err(format!("not a name: {name}"))
    }
}

fn read_sample(line: &str) -> Result<(Series, f64), String> {
    let end = line.find(['{', ' ']).ok_or("a sample without a value")?;
    let (name, mut rest) = line.split_at(end);
    check_name(name, ':')?;
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        while !rest.starts_with('}') {
            let (name, after) = rest.split_once("=\"").ok_or("a label without a value")?;
            check_name(name, '_')?;
            let (value, after) = read_label_value(after)?;
            labels.push((name.to_owned(), value));
            rest = after.strip_prefix(',').unwrap_or(after);
        }
        rest = &rest[1..];
    }
    let value = rest.strip_prefix(' ').ok_or("no space before a value")?;
    labels.sort();
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("a label twice: {line}"));
    }
    let value = value.parse().map_err(|_| format!("not a value: {line}"))?;
    Ok(((name.to_owned(), labels), value))
}

fn read_label_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, c @ ('\\' | '"'))) => value.push(c),
                _ => return Err(format!("a bad escape: {text}")),
            },
            c => value.push(c),
        }
    }
    Err(format!("a label that does not end: {text}"))
}

/// Buckets grow with their bounds, the last is `+Inf`, and it is the count.
fn check_histograms(found: &Exposition) -> Result<(), String> {
    for (name, _) in found.kinds.iter().filter(|(_, kind)| *kind == "histogram") {
        let mut buckets: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((series, labels), value) in &found.series {
            if *series == format!("{name}_bucket") {
                let (le, others): (Vec<_>, Vec<_>) =
                    labels.iter().cloned().partition(|(name, _)| name == "le");
                let [(_, bound)] = le.as_slice() else {
                    return Err(format!("{name}: a bucket without its bound"));
                };
                let bound = bound.parse().map_err(|_| format!("{name}: le={bound}"))?;
                buckets.entry(others).or_default().push((bound, *value));
            }
        }
        if buckets.is_empty() {
            return Err(format!("{name}: no buckets"));
        }
        for (labels, mut buckets) in buckets {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            if buckets
                .windows(2)
                .any(|pair| pair[0].0 >= pair[1].0 || pair[0].1 > pair[1].1)
            {
                return Err(format!("{name}: buckets shrink"));
            }
            let of = |part: &str| found.series.get(&(format!("{name}{part}"), labels.clone()));
            let last = buckets.last().copied().unwrap_or_default();
            if last.0 != f64::INFINITY || Some(&last.1) != of("_count") || of("_sum").is_none() {
                return Err(format!("{name}: no +Inf bucket, or not the count"));
            }
        }
    }
    Ok(())
}

#[test]
fn what_the_format_forbids_is_refused() {
    let good = "# HELP a_total x\n# TYPE a_total counter\na_total{b=\"c\\\"\\n\",d=\"e\"} 1\na_total 2\n\n";
    assert_eq!(read(good).unwrap().series.len(), 2);
    let histogram =
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n";
    assert_eq!(read(histogram).unwrap().series.len(), 4);
    let bad = [
        "a 1",
        "a 1\n",
        "# TYPE a counter\na -1\n",
        "# TYPE a counter\nb 1\n",
        "# TYPE a counter\na 1\na 1\n",
        "# TYPE a counter\na{b=\"c\"} 1\na{b=\"c\"} 2\n",
        "# TYPE a counter\na{b=\"c} 1\n",
        "# TYPE a counter\na{b=c} 1\n",
        "# TYPE a counter\na{b=\"\\x\"} 1\n",
        "# TYPE a counter\na{b=\"1\",b=\"2\"} 1\n",
        "# TYPE a counter\na\n",
        "# TYPE a counter\na one\n",
        "# TYPE a counter\n# TYPE a counter\na 1\n",
        "# TYPE a counter\na 1\n# TYPE b counter\nb 1\n# HELP a x\n",
        "# TYPE a thing\na 1\n",
        "# a comment\n",
        "# TYPE 1a counter\n1a 1\n",
        "# TYPE h histogram\nh_sum 1\nh_count 1\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n",
        "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 3\n",
    ];
    for text in bad {
        read(text).unwrap_err();
    }
    assert_eq!(bad.len(), 21);
}
