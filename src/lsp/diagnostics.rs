//! Diagnostics: all that `sphc check` finds, for each text that it is found in.

use super::view::Places;
use super::world::World;
use crate::diag::{Code, Diagnostic, FileId, Severity, Sources};
use lsp_types::{
    CodeDescription, DiagnosticRelatedInformation, DiagnosticSeverity, DiagnosticTag, NumberOrString,
    PublishDiagnosticsParams, Range, Uri,
};
use std::collections::BTreeMap;

/// What the client was told last, by the address of the text.
#[derive(Default)]
pub(super) struct Published {
    told: BTreeMap<Uri, Vec<lsp_types::Diagnostic>>,
}

impl Published {
    /// What the client does not know yet. A text that several documents import has what any of them finds there.
    pub(super) fn differences(&mut self, world: &World) -> Vec<PublishDiagnosticsParams> {
        let mut now: BTreeMap<Uri, Vec<lsp_types::Diagnostic>> = BTreeMap::new();
        for document in world.documents.values() {
            now.entry(document.uri.clone()).or_default();
        }
        // The program's own texts are sound; read as models they have unused names.
        for (_, (sources, reports)) in known(world).into_iter().filter(|it| !world.is_own(&it.0)) {
            let mut places = Places::of(world, sources);
            for report in reports {
                let Some(at) = places.location(report.primary.span) else { continue };
                let told = told(world, &mut places, report, at.range);
                let found = now.entry(at.uri).or_default();
                if !found.contains(&told) {
                    found.push(told);
                }
            }
        }
        let gone = self.told.keys().filter(|it| !now.contains_key(it));
        let mut out: Vec<PublishDiagnosticsParams> =
            gone.map(|it| PublishDiagnosticsParams::new(it.clone(), Vec::new(), None)).collect();
        for (uri, found) in &now {
            if self.told.get(uri) != Some(found) {
                let version = world.documents.values().find(|it| it.uri == *uri).map(|it| it.version);
                out.push(PublishDiagnosticsParams::new(uri.clone(), found.clone(), version));
            }
        }
        self.told = now;
        out
    }
}

/// What is known of each document: what the check of this very text found, else what its names tell.
fn known(world: &World) -> Vec<(String, (&Sources, &[Diagnostic]))> {
    let mut out = Vec::new();
    for document in world.documents.values() {
        let found = match (document.checked().filter(|it| !it.failed), document.names()) {
            (Some(deep), _) => (&deep.sources, deep.diagnostics.as_slice()),
            (None, Some(named)) => (&named.sources, named.diagnostics.as_slice()),
            (None, None) => continue,
        };
        out.push((document.name.clone(), found));
    }
    out
}

fn told(world: &World, places: &mut Places<'_>, report: &Diagnostic, range: Range) -> lsp_types::Diagnostic {
    let severity = match report.severity() {
        Severity::Error => DiagnosticSeverity::ERROR,
        Severity::Warning => DiagnosticSeverity::WARNING,
    };
    let related = report.secondary.iter().filter_map(|it| {
        let location = places.location(it.span)?;
        Some(DiagnosticRelatedInformation { location, message: it.text.clone() })
    });
    let related: Vec<DiagnosticRelatedInformation> = related.collect();
    let page = format!("# {}: {}\n\n{}\n", report.code.name(), report.code.title(), report.code.explanation().trim());
    let href = world.shelf.file(&format!("codes/{}.md", report.code.name()), &page);
    // Only what is never used is shown as such; a use that is in vain is none.
    let unused = matches!(report.code, Code::W0104 | Code::W0203);
    lsp_types::Diagnostic {
        range,
        severity: Some(severity),
        code: Some(NumberOrString::String(report.code.name().to_owned())),
        code_description: href.map(|href| CodeDescription { href }),
        source: Some("sphc".to_owned()),
        message: message(report),
        related_information: (!related.is_empty()).then_some(related),
        tags: unused.then(|| vec![DiagnosticTag::UNNECESSARY]),
        data: None,
    }
}

/// The message with what `sphc check` prints below it.
pub(super) fn message(report: &Diagnostic) -> String {
    let mut text = report.message.clone();
    if !report.primary.text.is_empty() {
        text.push_str(&format!(": {}", report.primary.text));
    }
    report.notes.iter().for_each(|it| text.push_str(&format!("\nnote: {it}")));
    report.helps.iter().for_each(|it| text.push_str(&format!("\nhelp: {}", it.text)));
    text
}

/// What was found in a document itself.
pub(super) fn of_itself(document: &super::world::Document) -> Vec<&Diagnostic> {
    let all = match (document.checked().filter(|it| !it.failed), document.names()) {
        (Some(deep), _) => deep.diagnostics.as_slice(),
        (None, Some(named)) => named.diagnostics.as_slice(),
        (None, None) => &[],
    };
    all.iter().filter(|it| it.primary.span.file == FileId(0)).collect()
}
