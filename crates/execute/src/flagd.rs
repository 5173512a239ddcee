//! flagd's flag file: looking at a flag, and setting the variant that it serves, in one atomic replacement of the file.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

/// Larger files are no flags of flagd that anybody keeps in one file.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// On the flag's metadata: which plan wrote it, and what it served before.
const ACTION: &str = "homeostat.io/action-id";
const BEFORE: &str = "homeostat.io/variant-before";

/// Where a flag stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flag {
    /// The variant that is served.
    pub(crate) variant: String,
    /// The plan that wrote it last, if one did.
    pub(crate) written_by: Option<String>,
    /// What that plan found.
    pub(crate) variant_before: Option<String>,
}

/// Why a flag can't be looked at or set. Nothing was written in any case.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagdError {
    /// The file or the flag isn't as it must be: another attempt finds the same.
    #[error("{0}")]
    Unfit(String),
    /// The file can't be read or written now.
    #[error("{path}: {why}", path = .path.display())]
    Io { path: PathBuf, why: String },
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> FlagdError + '_ {
    move |error| FlagdError::Io { path: path.to_owned(), why: error.to_string() }
}

fn load(path: &Path) -> Result<Value, FlagdError> {
    let length = fs::metadata(path).map_err(io(path))?.len();
    if length > BYTES_MAX {
        return Err(FlagdError::Unfit(format!("{} is larger than {BYTES_MAX} bytes", path.display())));
    }
    let text = fs::read_to_string(path).map_err(io(path))?;
    serde_json::from_str(&text).map_err(|error| {
        FlagdError::Unfit(format!("{} isn't JSON, as flagd's files must be here: {error}", path.display()))
    })
}

/// The flag as the file has it.
pub(crate) fn look(path: &Path, name: &str) -> Result<Flag, FlagdError> {
    let mut root = load(path)?;
    let flag = flag_of(&mut root, path, name)?;
    let metadata = |key: &str| flag.get("metadata").and_then(|metadata| metadata[key].as_str()).map(str::to_owned);
    let variant = flag.get("defaultVariant").and_then(Value::as_str);
    let variant = variant.ok_or_else(|| FlagdError::Unfit(format!("flag {name} has no defaultVariant")))?.to_owned();
    Ok(Flag { variant, written_by: metadata(ACTION), variant_before: metadata(BEFORE) })
}

fn flag_of<'a>(root: &'a mut Value, path: &Path, name: &str) -> Result<&'a mut Map<String, Value>, FlagdError> {
    let flag = root.get_mut("flags").and_then(|flags| flags.get_mut(name)).and_then(Value::as_object_mut);
    flag.ok_or_else(|| FlagdError::Unfit(format!("{} has no flag {name}", path.display())))
}

/// Has the flag serve this variant, with the plan's mark in the same write. What was served before is kept beside it, for going
/// back.
pub(crate) fn set(path: &Path, name: &str, variant: &str, plan: &str) -> Result<(), FlagdError> {
    // The file itself, not a link to it, which would be replaced by a file.
    let path = &fs::canonicalize(path).map_err(io(path))?;
    let mut root = load(path)?;
    let flag = flag_of(&mut root, path, name)?;
    let unfit = |why: String| Err(FlagdError::Unfit(format!("flag {name} {why}")));
    if flag.get("variants").and_then(|variants| variants.get(variant)).is_none() {
        return unfit(format!("has no variant {variant}"));
    }
    let has_targeting = flag.get("targeting").and_then(Value::as_object).is_some_and(|rules| !rules.is_empty());
    if has_targeting {
        return unfit("has targeting rules, which decide before its default variant: change them by hand".to_owned());
    }
    if flag.get("state").and_then(Value::as_str) == Some("DISABLED") {
        return unfit("is DISABLED: the application's own default counts".to_owned());
    }
    let before = flag.insert("defaultVariant".to_owned(), json!(variant));
    let metadata = flag.entry("metadata").or_insert_with(|| json!({}));
    metadata[ACTION] = json!(plan);
    metadata[BEFORE] = before.unwrap_or(Value::Null);
    replace(path, &root)
}

/// Writes a new file beside it and puts it in its place: who reads meanwhile reads one or the other, whole.
fn replace(path: &Path, root: &Value) -> Result<(), FlagdError> {
    let text = serde_json::to_string_pretty(root).map_err(|error| FlagdError::Unfit(error.to_string()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let new = path.with_file_name(format!(".{name}.homeostat"));
    let written = (|| {
        let mut file = fs::File::create(&new)?;
        file.set_permissions(fs::metadata(path)?.permissions())?;
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    written.map_err(|error| {
        let _ = fs::remove_file(&new);
        io(path)(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &str = r#"{
  "$schema": "https://flagd.dev/schema/v0/flags.json",
  "flags": {
    "new-checkout": { "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "on" },
    "targeted": { "state": "ENABLED", "variants": { "on": true, "off": false }, "defaultVariant": "on", "targeting": { "if": [] } },
    "disabled": { "state": "DISABLED", "variants": { "on": true, "off": false }, "defaultVariant": "on" }
  }
}"#;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("flags.json");
        fs::write(&path, text).unwrap();
        (directory, path)
    }

    #[test]
    fn a_flag_is_set_with_its_mark_and_the_rest_of_the_file_stays() {
        let (directory, path) = file(FLAGS);
        let link = directory.path().join("link.json");
        std::os::unix::fs::symlink("flags.json", &link).unwrap();
        set(&link, "new-checkout", "off", "act-1").unwrap();
        let flag = look(&path, "new-checkout").unwrap();
        assert_eq!(
            flag,
            Flag { variant: "off".into(), written_by: Some("act-1".into()), variant_before: Some("on".into()) }
        );
        let (mut before, mut after): (Value, Value) =
            (serde_json::from_str(FLAGS).unwrap(), serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap());
        before["flags"]["new-checkout"].take();
        after["flags"]["new-checkout"].take();
        assert_eq!(before, after);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn what_would_have_no_effect_or_isnt_there_is_refused_and_nothing_is_written() {
        for (name, variant, why) in [
            ("targeted", "off", "targeting rules"),
            ("disabled", "off", "is DISABLED"),
            ("new-checkout", "blue", "has no variant blue"),
            ("old-checkout", "off", "has no flag old-checkout"),
        ] {
            let (_directory, path) = file(FLAGS);
            let error = set(&path, name, variant, "act-1").unwrap_err();
            assert!(matches!(error, FlagdError::Unfit(_)) && error.to_string().contains(why), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), FLAGS, "{name}");
        }
        let (_directory, path) = file("flags: {}");
        assert!(look(&path, "x").unwrap_err().to_string().contains("isn't JSON"));
        assert!(matches!(look(Path::new("/nonexistent/f"), "x"), Err(FlagdError::Io { .. })));
    }
}
