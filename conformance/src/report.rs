//! What a run found, as JSON and as a page.

use std::fmt::Write as _;

use serde::Serialize;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// What was tested: `switch` or `terminal`.
    pub subject: &'static str,
    /// Where, and with which MAC and dialect.
    pub about: String,
    /// Whether every case passed.
    pub passed: bool,
    /// The cases, in the order they were run.
    pub cases: Vec<CaseReport>,
    /// What can't be provoked from outside.
    pub not_covered: Vec<&'static str>,
}

/// One case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseReport {
    /// Its name, which stays the same from version to version.
    pub id: &'static str,
    /// What must hold.
    pub title: &'static str,
    /// Whether it did.
    pub passed: bool,
    /// What was sent and seen.
    pub steps: Vec<Step>,
}

/// One exchange.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// What it was about.
    pub what: String,
    /// The bytes that were sent, in hexadecimal.
    pub sent: String,
    /// The bytes that came back.
    pub seen: Option<String>,
    /// How long that took.
    pub micros: Option<u64>,
    /// What was not as it must be.
    pub findings: Vec<Finding>,
}

/// Something that was not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: `F60`, `DF15`, `MAC`, `TPDU`.
    pub place: String,
    /// What must be there.
    pub expected: String,
    /// What is.
    pub seen: String,
    /// What that looks like.
    pub explanation: Option<String>,
}

impl Report {
    pub(crate) fn new(subject: &'static str, about: String, cases: Vec<CaseReport>) -> Self {
        let passed = !cases.is_empty() && cases.iter().all(|case| case.passed);
        Self { subject, about, passed, cases, not_covered: Vec::new() }
    }

    /// All findings, with the case they belong to.
    pub fn findings(&self) -> impl Iterator<Item = (&CaseReport, &Step, &Finding)> {
        let steps = self.cases.iter().flat_map(|case| case.steps.iter().map(move |step| (case, step)));
        steps.flat_map(|(case, step)| step.findings.iter().map(move |finding| (case, step, finding)))
    }

    /// A page that needs nothing else: no script, no style sheet, no picture from elsewhere.
    pub fn to_html(&self) -> String {
        let mut page = String::from(HEAD);
        let verdict = if self.passed { "passed" } else { "failed" };
        let passed = self.cases.iter().filter(|case| case.passed).count();
        // A string takes whatever is written to it.
        let _ = write!(
            page,
            "<h1>Conformance of a {}</h1><p>{}</p><p class={verdict}>{verdict}: {passed} of {} cases passed</p>",
            self.subject,
            escaped(&self.about),
            self.cases.len()
        );
        self.cases.iter().for_each(|case| case.write_html(&mut page));
        if !self.not_covered.is_empty() {
            page.push_str("<h2>Not covered</h2><ul>");
            self.not_covered.iter().for_each(|what| page.push_str(&format!("<li>{}</li>", escaped(what))));
            page.push_str("</ul>");
        }
        page.push_str("</body></html>\n");
        page
    }
}

impl CaseReport {
    fn write_html(&self, page: &mut String) {
        let (verdict, open) = if self.passed { ("passed", "") } else { ("failed", " open") };
        let _ = write!(
            page,
            "<details{open}><summary class={verdict}>{verdict} <code>{}</code> {}</summary>",
            self.id,
            escaped(self.title)
        );
        self.steps.iter().for_each(|step| step.write_html(page));
        page.push_str("</details>");
    }
}

impl Step {
    fn write_html(&self, page: &mut String) {
        let seen = self.seen.as_deref().unwrap_or("nothing");
        let took = self.micros.map(|micros| format!(" ({micros} µs)")).unwrap_or_default();
        let _ = write!(
            page,
            "<h3>{}</h3><table><tr><th>sent<td class=bytes>{}<tr><th>seen{took}<td class=bytes>{seen}</table>",
            escaped(&self.what),
            self.sent
        );
        if self.findings.is_empty() {
            return;
        }
        page.push_str("<table><tr><th>where<th>expected<th>seen<th>why");
        for Finding { place, expected, seen, explanation } in &self.findings {
            let why = explanation.as_deref().unwrap_or_default();
            let cells = [place, expected, seen, why].map(escaped);
            let _ = write!(page, "<tr><td>{}", cells.join("<td>"));
        }
        page.push_str("</table>");
    }
}

fn escaped(text: impl AsRef<str>) -> String {
    text.as_ref().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const HEAD: &str = "<!doctype html><html lang=en><head><meta charset=utf-8><title>Xingka conformance</title><style>\
    body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}\
    h1{font-size:1.5rem}h3{font-size:.95rem;margin:.8rem 0 .2rem}\
    summary{cursor:pointer;padding:.25rem 0}.passed{color:#116329}.failed{color:#b3261e;font-weight:600}\
    table{border-collapse:collapse;margin:.3rem 0 .8rem;width:100%;table-layout:auto}\
    th,td{border:1px solid #d0d7de;padding:.25rem .5rem;text-align:left;vertical-align:top;font-weight:400}\
    th{color:#57606a;white-space:nowrap}.bytes{font:12px/1.4 ui-monospace,monospace;word-break:break-all}\
    </style></head><body>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_shows_what_was_expected_and_seen_and_escapes_it() {
        let finding = Finding {
            place: "F60".into(),
            expected: "<b>".into(),
            seen: "\"x\"".into(),
            explanation: Some("a & b".into()),
        };
        let step =
            Step { what: "a purchase".into(), sent: "00".into(), seen: None, micros: None, findings: vec![finding] };
        let case = CaseReport { id: "purchase", title: "costs", passed: false, steps: vec![step] };
        let report = Report::new("switch", "here".into(), vec![case]);
        let page = report.to_html();
        assert!(!report.passed && page.contains("&lt;b&gt;<td>&quot;x&quot;<td>a &amp; b"), "{page}");
        assert_eq!(report.findings().count(), 1);
        assert!(!Report::new("switch", String::new(), vec![]).passed, "no case is no pass");
    }
}
