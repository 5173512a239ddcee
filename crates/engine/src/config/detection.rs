//! `detectors`, `detection`, `incidents`, `onnx`, `bundle`, `topology` and `calendar`: how to detect and what is known beforehand.

use std::path::{Path, PathBuf};

use homeostat_core::{Calendar, Exclusion, NamePattern, PlannedEvent, Subject, Timestamp, Topology};
use homeostat_detect::{Budgets, DetectorSpec, FalseAlarmBudget};
use homeostat_incidents::Calibration;
use homeostat_settings::{Findings, Problem, Reader, Timezone, parse_documents};

use super::options::Options;

/// The detectors there are, in the order of their votes.
pub(crate) const DETECTORS: &[&str] = DetectorSpec::NAMES;

/// What votes unless the config says otherwise.
fn detectors_default() -> Vec<&'static str> {
    DetectorSpec::all_default().iter().map(DetectorSpec::name).collect()
}

/// How to detect.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Detection {
    /// Which detectors vote; at least one.
    pub(crate) detectors: Vec<&'static str>,
    /// Their options, and when incidents open and close.
    pub(crate) options: Options,
    /// False alarms that are acceptable, for each subject.
    pub(crate) budget: FalseAlarmBudget,
    /// The same for all subjects together, if there is a bound on that.
    pub(crate) fleet_budget: Option<FalseAlarmBudget>,
    /// How often incidents were right, as measured here; without it the measurements that ship with homeostat hold.
    pub(crate) calibration: Option<Calibration>,
    /// The native ONNX Runtime; without it the embedded backend runs the autoencoder.
    pub(crate) onnx_library: Option<PathBuf>,
    /// Models saved by `homeostat train`; without it they are trained at start.
    pub(crate) bundle: Option<PathBuf>,
    /// Whether workloads with the same queries share models. They do, unless the config says otherwise: a tenth of the memory,
    /// twice the speed.
    pub(crate) share_models: bool,
    /// Seed of all training.
    pub(crate) seed: u64,
    /// What days and hours go by.
    pub(crate) timezone: Timezone,
    /// Times that models don't learn.
    pub(crate) exclude: Vec<Exclusion>,
}

impl Detection {
    /// What each subject and all together may have.
    pub(crate) fn budgets(&self) -> Budgets {
        Budgets { each: self.budget, fleet: self.fleet_budget }
    }
}

impl Default for Detection {
    /// All detectors on the embedded backend, the default budget.
    fn default() -> Self {
        Self {
            detectors: detectors_default(),
            options: Options::default(),
            budget: FalseAlarmBudget::default(),
            fleet_budget: None,
            calibration: None,
            onnx_library: None,
            bundle: None,
            share_models: true,
            seed: 1,
            timezone: Timezone::default(),
            exclude: Vec::new(),
        }
    }
}

/// What a config says of detection, without the rest of it; every problem at once.
pub(crate) fn detection_of(text: &str) -> Result<Detection, Vec<Problem>> {
    const FILE: &str = "options";
    let documents = parse_documents(FILE, text).map_err(|problem| vec![problem])?;
    let Some(root) = documents.first() else { return Ok(Detection::default()) };
    let mut findings = Findings::new();
    let mut reader = Reader::new(FILE, "", root, &mut findings);
    let detection = read(&mut reader, Path::new(""));
    reader.finish();
    if findings.is_empty() { Ok(detection) } else { Err(findings.into_problems()) }
}

pub(super) fn read(reader: &mut Reader<'_>, base: &Path) -> Detection {
    let place = reader.node("detectors").map_or(reader.place(), |node| node.place);
    let mut detectors = Vec::new();
    let mut has_unknown = false;
    for name in
        reader.texts("detectors").unwrap_or_else(|| detectors_default().into_iter().map(str::to_owned).collect())
    {
        match DETECTORS.iter().find(|known| **known == name) {
            Some(known) if detectors.contains(known) => {
                reader.problem(place, format!("detectors: {known} is named twice"));
            }
            Some(known) => detectors.push(*known),
            None => {
                has_unknown = true;
                if let Some((absent, feature)) = DetectorSpec::LEFT_OUT.iter().find(|(absent, _)| *absent == name) {
                    reader.problem(
                        place,
                        format!("detectors: this homeostat was built without `{feature}`, leave {absent} out"),
                    );
                    continue;
                }
                reader.problem(place, format!("detectors: unknown {name:?}; use one of {}", DETECTORS.join(", ")));
            }
        }
    }
    if detectors.is_empty() && !has_unknown {
        reader.problem(place, format!("detectors: name at least one of {}", DETECTORS.join(", ")));
    }
    let incidents = reader.section("incidents", |incidents| {
        let budget = incidents.parsed::<FalseAlarmBudget>("false_alarm_budget");
        (budget, incidents.parsed::<FalseAlarmBudget>("fleet_false_alarm_budget"), read_calibration(incidents, base))
    });
    let (budget, fleet_budget, calibration) = incidents.unwrap_or_default();
    let onnx_library = reader.section("onnx", |onnx| onnx.text("library")).flatten();
    Detection {
        detectors,
        options: reader.section("detection", |reader| Options::read(reader, base)).unwrap_or_default(),
        budget: budget.unwrap_or_default(),
        fleet_budget,
        calibration,
        onnx_library: onnx_library.map(|path| base.join(path)),
        bundle: reader.text("bundle").map(|path| base.join(path)),
        share_models: reader.flag("share_models").unwrap_or(true),
        seed: reader.count("seed", 0..=u32::MAX).map_or(1, u64::from),
        // Of `global`, which is read before.
        timezone: Timezone::default(),
        exclude: Vec::new(),
    }
}

/// `incidents.calibration`: a file of confidence curves, made from judged incidents of one's own.
fn read_calibration(incidents: &mut Reader<'_>, base: &Path) -> Option<Calibration> {
    let path = base.join(incidents.text("calibration")?);
    let read = std::fs::read_to_string(&path).map_err(|error| format!("can't be read: {error}"));
    match read.and_then(|text| serde_json::from_str(&text).map_err(|error| format!("isn't a calibration: {error}"))) {
        Ok(calibration) => Some(calibration),
        Err(why) => {
            let place = incidents.node("calibration").map_or(incidents.place(), |node| node.place);
            incidents.problem(place, format!("incidents.calibration: {} {why}", path.display()));
            None
        }
    }
}

pub(super) fn read_topology(reader: &mut Reader<'_>) -> Topology {
    let mut topology = Topology::new();
    let file = reader.file();
    for (idx, item) in reader.items("topology").iter().enumerate() {
        let mut entry = Reader::new(file, &format!("topology[{idx}]"), item, reader.problems());
        let caller = entry.parsed::<Subject>("workload");
        let caller = entry.require("workload", caller);
        let texts = entry.texts("depends_on");
        for text in entry.require("depends_on", texts).unwrap_or_default() {
            match (text.parse::<Subject>(), &caller) {
                (Ok(dependency), Some(caller)) => topology.add(caller.clone(), dependency),
                (Ok(_), None) => {}
                (Err(error), _) => {
                    let place = entry.node("depends_on").map_or(item.place, |node| node.place);
                    entry.problem(place, format!("topology[{idx}].depends_on: {error}"));
                }
            }
        }
        entry.finish();
    }
    topology
}

/// Names or globs. What can match nothing is a problem: a freeze that matches nothing freezes nothing.
pub(super) fn read_patterns(entry: &mut Reader<'_>, key: &'static str) -> Vec<NamePattern> {
    let mut patterns = Vec::new();
    for text in entry.texts(key).unwrap_or_default() {
        match text.parse::<NamePattern>() {
            Ok(pattern) => patterns.push(pattern),
            Err(error) => entry.reject(key, error),
        }
    }
    patterns
}

pub(super) fn read_calendar(reader: &mut Reader<'_>) -> Calendar {
    let file = reader.file();
    let mut events = Vec::new();
    for (idx, item) in reader.items("calendar").iter().enumerate() {
        let mut entry = Reader::new(file, &format!("calendar[{idx}]"), item, reader.problems());
        let name = entry.text("name");
        let name = entry.require("name", name);
        let start = entry.parsed::<Timestamp>("start");
        let start = entry.require("start", start);
        let end = entry.parsed::<Timestamp>("end");
        let end = entry.require("end", end);
        let namespaces = read_patterns(&mut entry, "namespaces");
        let workloads = read_patterns(&mut entry, "workloads");
        if let (Some(name), Some(start), Some(end)) = (name, start, end) {
            if end <= start {
                let place = entry.node("end").map_or(item.place, |node| node.place);
                entry.problem(place, format!("calendar[{idx}].end: must be after the start, {start}"));
            }
            events.push(PlannedEvent { name, start, end, namespaces, workloads });
        }
        entry.finish();
    }
    Calendar { events }
}
