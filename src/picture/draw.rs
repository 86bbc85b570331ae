//! Puts the course of a rollout on paper: a row a slot, the quorum's margin below them, an axis and what the colours mean.

use std::time::Duration;

use super::course::{Course, Phase, Row, Span};
use super::paper::{Paper, escaped};
use crate::history::rollout::{Kind, Make, Outcome, Rollout};
use crate::time::{Human, clock, elapsed};

/// The size of the picture in its own units, and of the parts that do not depend on what is drawn.
const WIDTH: f64 = 1_120.0;
const EDGE: f64 = 24.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 96.0;
const ROW: f64 = 58.0;
const BAR: f64 = 26.0;
const DOWN: f64 = 9.0;
const MARGIN_STEP: f64 = 16.0;
/// About the widths of a character: on average in a label, at most in one, and of a slot's name.
const CHARACTER: f64 = 6.4;
const WIDE_CHARACTER: f64 = 7.1;
const LARGE_CHARACTER: f64 = 8.4;
/// The room for the names of slots, at least and at most.
const NAMES: (f64, f64) = (152.0, 320.0);
/// The most lines that the axis has.
const MOST_TICKS: f64 = 10.0;
/// The distances between two of them that people count in, in seconds.
const TICKS: [f64; 14] =
    [5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 21_600.0, 43_200.0, 86_400.0];

/// Colours for paper and for dark screens. Each text has a contrast of at least 4.5 to what it stands on.
const STYLE: &str = "<style>
  .paper{fill:#ffffff} .title{fill:#16212e} .text{fill:#43505f} .label{fill:#16212e} .grid{stroke:#e3e8ee} .axis{stroke:#8a97a6}
  .track{fill:#f3f5f8} .starting{fill:#c9dcf5} .stopping{fill:#f6d3a8} .moving{fill:#dccbf2} .joining{fill:#b5e0e3}
  .baking{fill:#c7e6bd} .tidying-up{fill:#dfe4ea} .taking-back{fill:#f5bfbc} .margin{fill:#8fb8a4} .none{fill:#d0605a}
  .hatch{stroke:#b3261e} .down{fill:url(#hatch);stroke:#b3261e;stroke-width:1} .alarm{fill:#a11a13} .lead{fill:#16212e}
  text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif} .title{font-size:19px;font-weight:600} .slot{fill:#16212e;font-size:14px;font-weight:600}
  .label{font-size:12px} .small{font-size:12px} .middle{text-anchor:middle} .end{text-anchor:end} .hatch{stroke-width:2}
  @media (prefers-color-scheme: dark){
  .paper{fill:#12181f} .title,.slot{fill:#eef3f8} .text{fill:#b3c0cd} .label{fill:#f4f8fb} .grid{stroke:#26313d} .axis{stroke:#6b7a8a}
  .track{fill:#1a222c} .starting{fill:#274a78} .stopping{fill:#7a4d12} .moving{fill:#553680} .joining{fill:#1b5c63}
  .baking{fill:#2f5f26} .tidying-up{fill:#3b4754} .taking-back{fill:#7d2a26} .margin{fill:#3f7d62} .none{fill:#a33a34}
  .hatch{stroke:#ff8a80} .down{stroke:#ff8a80} .alarm{fill:#ff9d95} .lead{fill:#f4f8fb}}
</style>
<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
<line class=\"hatch\" x1=\"0\" y1=\"0\" x2=\"0\" y2=\"6\"/></pattern></defs>
";

/// The picture that is being drawn.
struct Picture<'a> {
    rollout: &'a Rollout,
    course: &'a Course,
    /// The room for the names of slots.
    left: f64,
    paper: Paper,
}

/// Draws the picture.
pub(super) fn draw(rollout: &Rollout, course: &Course) -> String {
    let longest = course.rows.iter().map(|row| row.slot.chars().count()).max().unwrap_or(0);
    let left = (EDGE + longest as f64 * LARGE_CHARACTER + 20.0).clamp(NAMES.0, NAMES.1);
    let mut picture = Picture { rollout, course, left, paper: Paper::default() };
    let bottom = TOP + ROW * picture.rows() + picture.margin_height() + 24.0;
    let legend = picture.legend();
    let height = bottom + 48.0 + 22.0 * legend.len() as f64;
    let says = escaped(&picture.says());
    let head = escaped(&picture.head());
    picture.paper.raw(&format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-labelledby=\"title desc\">\n<title id=\"title\">{head}</title>\n<desc id=\"desc\">{says}</desc>\n{STYLE}\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height:.0}\"/>\n"
    ));
    picture.heading();
    picture.axis(bottom);
    for (nth, row) in course.rows.iter().enumerate() {
        picture.row(row, TOP + ROW * nth as f64);
    }
    picture.margin(TOP + ROW * picture.rows() + 6.0);
    for (nth, line) in legend.iter().enumerate() {
        picture.explain(line, bottom + 46.0 + 22.0 * nth as f64);
    }
    picture.paper.raw("</svg>\n");
    picture.paper.finish()
}

impl Picture<'_> {
    fn rows(&self) -> f64 {
        self.course.rows.len() as f64
    }

    /// The place of a moment on the axis.
    fn x(&self, seconds: f64) -> f64 {
        self.left + (WIDTH - self.left - RIGHT) * seconds / self.course.length.max(1.0)
    }

    fn head(&self) -> String {
        let (rollout, to) = (self.rollout, make(&self.rollout.to));
        let what = match (rollout.kind, &rollout.from) {
            (Kind::Upgrade, Some(from)) => format!("{} → {to}", make(from)),
            (Kind::Upgrade, None) => to,
            (Kind::Heal, _) => format!("healed with {to}"),
            (Kind::Create, _) => format!("created with {to}"),
        };
        format!("{}: {what}", rollout.cluster)
    }

    fn ending(&self) -> String {
        let took = Human(Duration::from_secs_f64(self.course.length));
        let end = match self.rollout.outcome {
            Outcome::Settled => "settled after",
            Outcome::TakenBack => "taken back after",
            Outcome::Superseded => "superseded after",
            Outcome::UnderWay => "under way for",
            Outcome::Blocked => "blocked after",
            Outcome::Stalled => "stalled after",
        };
        format!("{end} {took}")
    }

    /// Says in words what the picture shows.
    fn says(&self) -> String {
        let slots = self.rollout.slots.iter().map(|slot| {
            let took = slot.ended.map(|ended| Human(elapsed(ended, slot.started)));
            let took = took.map_or("not finished".to_owned(), |took| format!("took {took}"));
            let down = slot.member_down_seconds.map(|down| Human(Duration::from_secs(down)));
            let down = down.map(|down| format!(", its member down for {down}")).unwrap_or_default();
            let failed = slot.failed.as_ref().map(|why| format!(", failed: {why}")).unwrap_or_default();
            format!(" {} {took}{down}{failed}.", slot.slot)
        });
        let slots: String = slots.collect();
        let margin = self.rollout.least_margin.map(|margin| format!(" {}.", fails(margin)));
        format!("Began at {}, {}.{slots}{}", clock(self.rollout.started), self.ending(), margin.unwrap_or_default())
    }

    fn heading(&mut self) {
        let (head, ending, began) = (self.head(), self.ending(), clock(self.rollout.started));
        let approval = self.rollout.approval.as_ref().map(|plan| format!(" · {plan} approved")).unwrap_or_default();
        self.paper.text("title", (EDGE, 36.0), &head);
        let why = self.rollout.slots.iter().find_map(|slot| Some(format!(" · {}", slot.failed.as_ref()?)));
        let line = format!("{ending}{} · began {began}{approval}", why.unwrap_or_default());
        self.paper.text("text", (EDGE, 60.0), &line);
    }

    fn axis(&mut self, bottom: f64) {
        let length = self.course.length.max(1.0);
        let step = TICKS.into_iter().find(|step| length / step <= MOST_TICKS).unwrap_or(length / MOST_TICKS);
        let mut at = 0.0;
        while at <= length {
            let x = self.x(at);
            self.paper.line("grid", (x, TOP - 12.0), (x, bottom));
            let label = if at == 0.0 { "0".to_owned() } else { Human(Duration::from_secs_f64(at)).to_string() };
            self.paper.text("text small middle", (x, bottom + 18.0), &label);
            at += step;
        }
        self.paper.line("axis", (self.left, bottom), (WIDTH - RIGHT, bottom));
    }

    fn row(&mut self, row: &Row, top: f64) {
        let down: f64 = row.down.iter().map(Span::length).sum();
        self.paper.text("slot", (EDGE, top + 17.0), &row.slot);
        let told = format!("down {}", Human(Duration::from_secs_f64(down)));
        let is_told = self.rollout.kind != Kind::Create && down > 0.0;
        if is_told {
            self.paper.text("alarm small", (EDGE, top + 35.0), &told);
        }
        self.paper.raw(&format!(
            "<rect class=\"track\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR}\"/>\n",
            self.left,
            WIDTH - self.left - RIGHT
        ));
        for span in &row.phases {
            let (x, width) = (self.x(span.from), self.x(span.to) - self.x(span.from));
            let took = Human(Duration::from_secs_f64(span.length())).to_string();
            let says = format!("{}: {}, {took}", row.slot, span.what.name());
            self.paper.bar(class(span.what), (x, top), ((width - 1.0).max(0.6), BAR), &says);
            let long = format!("{} {took}", span.what.name());
            let fits = |text: &str| text.chars().count() as f64 * CHARACTER + 8.0 < width;
            let label = [long, took].into_iter().find(|text| fits(text));
            if let Some(label) = label {
                self.paper.text("label middle", (x + width / 2.0, top + 17.5), &label);
            }
        }
        for span in &row.down {
            let (x, width) = (self.x(span.from), self.x(span.to) - self.x(span.from));
            let says = format!("{}: member down, {}", row.slot, Human(Duration::from_secs_f64(span.length())));
            self.paper.bar("down", (x, top + BAR + 3.0), (width.max(1.5), DOWN), &says);
        }
        for at in &row.transfers {
            let x = self.x(*at);
            self.paper.raw(&format!(
                "<path class=\"lead\" d=\"M{x:.1} {:.1}l5 -7h-10z\"><title>leadership moves</title></path>\n",
                top - 1.0
            ));
        }
    }

    /// The highest margin that is drawn.
    fn most(&self) -> i64 {
        self.course.margin.iter().map(|span| span.what).max().unwrap_or(0).clamp(1, 6)
    }

    fn margin_height(&self) -> f64 {
        if self.course.margin.is_empty() { 0.0 } else { MARGIN_STEP * (self.most() as f64 + 1.0) + 10.0 }
    }

    /// Draws how many further members might have failed. Where it is none, the band is thin and red.
    fn margin(&mut self, top: f64) {
        if self.course.margin.is_empty() {
            return;
        }
        let base = top + MARGIN_STEP * (self.most() as f64 + 1.0);
        self.paper.text("slot", (EDGE, top + 18.0), "quorum");
        if let Some(least) = self.rollout.least_margin {
            let class = if least < 0 { "alarm small" } else { "text small" };
            self.paper.text(class, (EDGE, top + 35.0), &format!("at worst {}", fails(least)));
        }
        for span in &self.course.margin {
            let (x, width) = (self.x(span.from), self.x(span.to) - self.x(span.from));
            let height = if span.what > 0 { MARGIN_STEP * span.what.min(6) as f64 + 5.0 } else { 5.0 };
            let says = format!("{}, {}", fails(span.what), Human(Duration::from_secs_f64(span.length())));
            let class = if span.what < 0 { "none" } else { "margin" };
            self.paper.bar(class, (x, base - height), (width.max(0.6), height), &says);
            let label = span.what.max(0).to_string();
            if span.what > 0 && width > 60.0 {
                self.paper.text("label middle", (x + width / 2.0, base - height / 2.0 + 4.5), &fails_shortly(&label));
            }
        }
    }

    /// Lists the marks that the picture has and what each means, in lines that are not too long.
    fn legend(&self) -> Vec<Vec<(&'static str, &'static str)>> {
        let rows = &self.course.rows;
        let used = |phase: &Phase| rows.iter().any(|row| row.phases.iter().any(|span| span.what == *phase));
        let phases = Phase::ALL.into_iter().filter(used).map(|phase| (class(phase), phase.name()));
        let down = rows.iter().any(|row| !row.down.is_empty()).then_some(("down", "member down"));
        let lead = rows.iter().any(|row| !row.transfers.is_empty()).then_some(("lead", "leadership moves"));
        let (mut lines, mut x) = (vec![Vec::new()], EDGE);
        for entry in phases.chain(down).chain(lead) {
            if x + explained(entry.1) > WIDTH {
                lines.push(Vec::new());
                x = EDGE;
            }
            x += explained(entry.1);
            lines.last_mut().into_iter().for_each(|line| line.push(entry));
        }
        lines
    }

    fn explain(&mut self, line: &[(&str, &str)], y: f64) {
        let mut x = EDGE;
        for (class, name) in line {
            let top = y - 10.0;
            self.paper.raw(&match *class {
                "lead" => format!("<path class=\"lead\" d=\"M{:.1} {:.1}l5 -7h-10z\"/>\n", x + 7.0, y - 1.0),
                class => format!("<rect class=\"{class}\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"14\" height=\"11\"/>\n"),
            });
            self.paper.text("text small", (x + 20.0, y), name);
            x += explained(name);
        }
    }
}

/// The width of a mark with its meaning.
fn explained(name: &str) -> f64 {
    20.0 + name.chars().count() as f64 * WIDE_CHARACTER + 13.0
}

fn make(make: &Make) -> String {
    match &make.version {
        Some(version) => format!("{} ({version})", make.image),
        None => make.image.clone(),
    }
}

fn fails(margin: i64) -> String {
    match margin {
        ..0 => "quorum lost".to_owned(),
        margin => fails_shortly(&margin.to_string()),
    }
}

fn fails_shortly(number: &str) -> String {
    format!("{number} may fail")
}

/// The class of a phase in the style.
fn class(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Stopping => "stopping",
        Phase::Moving => "moving",
        Phase::Joining => "joining",
        Phase::Baking => "baking",
        Phase::TidyingUp => "tidying-up",
        Phase::TakingBack => "taking-back",
    }
}
