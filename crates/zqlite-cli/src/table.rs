//! Aligned columns.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr;

/// So many rows determine the widths; what follows is printed as it comes.
const MEASURED_ROWS: usize = 1_000;

/// Rows of text. Columns in which every measured cell is a number are aligned to the right.
pub(crate) struct Table {
    header: Vec<String>,
    /// `None` once the widths are fixed and the rows so far are printed.
    waiting: Option<Vec<Vec<String>>>,
    columns: Vec<Column>,
}

#[derive(Clone, Copy)]
struct Column {
    width: usize,
    is_numeric: bool,
}

impl Table {
    pub(crate) fn new(header: Vec<String>) -> Self {
        Self {
            header,
            waiting: Some(Vec::new()),
            columns: Vec::new(),
        }
    }

    /// Adds a row, and prints it if the widths are known.
    pub(crate) fn push(&mut self, row: Vec<String>, out: &mut impl Write) -> io::Result<()> {
        match &mut self.waiting {
            Some(rows) if rows.len() < MEASURED_ROWS => {
                rows.push(row);
                Ok(())
            }
            Some(_) => {
                self.finish(out)?;
                self.print_row(&row, out)
            }
            None => self.print_row(&row, out),
        }
    }

    /// Prints what waits.
    pub(crate) fn finish(&mut self, out: &mut impl Write) -> io::Result<()> {
        let Some(rows) = self.waiting.take() else {
            return Ok(());
        };
        self.columns = (0..self.header.len())
            .map(|index| self.measure(index, &rows))
            .collect();
        self.print_row(&self.header, out)?;
        let rules: Vec<_> = self
            .columns
            .iter()
            .map(|column| "-".repeat(column.width))
            .collect();
        self.print_row(&rules, out)?;
        rows.iter().try_for_each(|row| self.print_row(row, out))
    }

    fn measure(&self, index: usize, rows: &[Vec<String>]) -> Column {
        let cells = || rows.iter().filter_map(|row| row.get(index));
        let header = self.header.get(index);
        let width = cells()
            .chain(header)
            .map(|cell| cell.width())
            .max()
            .unwrap_or(0);
        let is_number = |cell: &String| cell == "NULL" || cell.parse::<f64>().is_ok();
        Column {
            width,
            is_numeric: !rows.is_empty() && cells().all(is_number),
        }
    }

    fn print_row(&self, row: &[String], out: &mut impl Write) -> io::Result<()> {
        let mut line = String::new();
        for (column, cell) in self.columns.iter().zip(row) {
            let padding = " ".repeat(column.width.saturating_sub(cell.width()));
            if column.is_numeric {
                line.extend([&padding, cell.as_str(), "  "]);
            } else {
                line.extend([cell.as_str(), &padding, "  "]);
            }
        }
        writeln!(out, "{}", line.trim_end())
    }
}
