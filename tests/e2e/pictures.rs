//! The pictures of the guide, and the calls that it names under them: what this program says of the same data.

use std::path::Path;

use anyhow::{Result, ensure};
use homeostat_tests::homeostat::binary;
use tokio::process::Command;

#[tokio::test]
async fn pictures_and_guide_say_what_the_program_says() -> Result<()> {
    let draw = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures/draw.py");
    let done = Command::new("python3").arg(draw).arg("--check").arg("--homeostat").arg(binary()?).output().await?;
    let told = [done.stdout, done.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    ensure!(done.status.success(), "{told}");
    Ok(())
}
