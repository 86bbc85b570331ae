//! The slots of one cluster as a table: one row a slot, always in one line, and no wider than the terminal.

use comfy_table::{ContentArrangement, Table, presets};

use crate::cli::output::cut;
use crate::input::text::clean;
use crate::observed::InstanceState;
use crate::status::{SlotStatus, Status};

/// The spaces between two columns.
const GAP: usize = 2;
/// The least characters of a cell that is cut.
const LEAST: usize = 8;

/// A column, with a cell for each slot.
struct Column {
    title: &'static str,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        self.cells.iter().map(|cell| cell.chars().count()).chain([self.title.chars().count()]).max().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.cells.iter().all(String::is_empty)
    }

    /// Cuts every cell to a width.
    fn cut(&mut self, width: usize) {
        self.cells.iter_mut().for_each(|cell| *cell = cut(cell, width));
    }
}

/// Renders the table. Where it would be wider than that, notes and reasons are cut first, then zones left out.
pub(super) fn render(status: &Status, is_wide: bool, width: Option<usize>) -> String {
    let column = |title, cell: fn(&SlotStatus) -> String| Column {
        title,
        cells: status.slots.iter().map(|slot| clean(&cell(slot).replace('\n', " ")).into_owned()).collect(),
    };
    let mut columns =
        vec![column(" SLOT", |slot| format!(" {}", slot.slot)), column("ZONE", |slot| slot.zone.to_string())];
    columns.push(column("INSTANCE", |slot| or_dash(slot.instance.as_ref())));
    if is_wide {
        columns.push(column("STATE", |slot| or_dash(slot.state.as_ref())));
        columns.push(column("IMAGE", |slot| format!("{} {}", mark(slot), or_dash(slot.image.as_ref()))));
        columns
            .push(column("VOLUMES", |slot| slot.volumes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")));
    } else {
        columns.push(column("IMAGE", |slot| mark(slot).to_owned()));
    }
    columns.push(column("ROLE", |slot| slot.role.to_string()));
    columns.push(column("HEALTH", |slot| slot.health.to_string()));
    columns.push(column("NOTE", if is_wide { note } else { note_with_state }));
    columns.retain(|column| column.title != "NOTE" || !column.is_empty());
    if let Some(width) = width {
        fit(&mut columns, width);
    }
    written(&columns)
}

/// Makes columns narrower until the table fits.
fn fit(columns: &mut Vec<Column>, width: usize) {
    let excess = |columns: &[Column]| {
        // One more stands before the first column.
        let total = 1 + columns.iter().map(Column::width).sum::<usize>() + GAP * (columns.len() - 1);
        total.saturating_sub(width)
    };
    for title in ["NOTE", "HEALTH"] {
        let excess = excess(columns);
        if let Some(column) = columns.iter_mut().find(|column| column.title == title).filter(|_| excess > 0) {
            let to = column.width().saturating_sub(excess).max(LEAST);
            column.cut(to);
        }
    }
    if excess(columns) > 0 {
        columns.retain(|column| column.title != "ZONE");
    }
    let left = excess(columns);
    if let Some(slots) = columns.first_mut().filter(|_| left > 0) {
        let to = slots.width().saturating_sub(left).max(LEAST);
        slots.cut(to);
    }
}

fn written(columns: &[Column]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.title));
    let rows = columns.first().map_or(0, |column| column.cells.len());
    for row in 0..rows {
        table.add_row(columns.iter().map(|column| column.cells[row].as_str()));
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn mark(slot: &SlotStatus) -> &'static str {
    if slot.current { "✓" } else { "→" }
}

fn or_dash(value: Option<&impl ToString>) -> String {
    value.map_or_else(|| "–".to_owned(), ToString::to_string)
}

fn note(slot: &SlotStatus) -> String {
    let step = slot.step.map(|step| format!(", at {step}")).unwrap_or_default();
    let claimed = slot.claimed.then(|| format!("being replaced{step}"));
    let rejected = slot.rejected.then(|| "the desired generation failed here".to_owned());
    claimed.into_iter().chain(rejected).collect::<Vec<_>>().join(", ")
}

/// The note of a table without a column for the instance's state.
fn note_with_state(slot: &SlotStatus) -> String {
    let state = slot.state.filter(|state| *state != InstanceState::Running).map(|state| state.to_string());
    let note = Some(note(slot)).filter(|note| !note.is_empty());
    state.into_iter().chain(note).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns() -> Vec<Column> {
        let column = |title, cell: &str| Column { title, cells: vec![cell.to_owned()] };
        vec![
            column(" SLOT", " a-slot-with-a-long-name"),
            column("ZONE", "ap-southeast-1a"),
            column("INSTANCE", "i-0123456789abcdef0"),
            column("IMAGE", "→"),
            column("ROLE", "leader"),
            column("HEALTH", "unhealthy: no answer within 5s"),
            column("NOTE", "being replaced, at attach"),
        ]
    }

    #[test]
    fn a_table_is_made_to_fit_and_keeps_its_instances() {
        for width in [66, 80, 100, 140] {
            let mut columns = columns();
            fit(&mut columns, width);
            let written = written(&columns);
            for line in written.lines() {
                assert!(line.chars().count() <= width, "{width}:\n{written}");
            }
            assert!(written.contains("i-0123456789abcdef0"), "{width}:\n{written}");
        }
    }

    #[test]
    fn a_table_that_fits_loses_nothing() {
        let mut columns = columns();
        fit(&mut columns, 140);
        let written = written(&columns);
        assert!(written.contains("no answer within 5s") && written.contains("at attach"), "{written}");
    }
}
