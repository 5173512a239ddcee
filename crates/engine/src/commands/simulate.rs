//! `homeostat simulate`: a labelled pack of the simulated shop, for `evaluate` and for trying things out.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use flate2::{Compression, GzBuilder};
use homeostat_evaluate::{SeriesEntry, ShopPackSpec, shop_pack};

use crate::outcome::print;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Where to write the pack; a new directory.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Seed of services, noise and faults.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Healthy days at the beginning, which train.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) train_days: u32,
    /// Days with faults, which are judged.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) days: u32,
}

pub(crate) fn run(args: &SimulateArgs) -> anyhow::Result<()> {
    if args.output.exists() {
        bail!("--output {}: is there already; choose another name or move it away", args.output.display());
    }
    let spec = ShopPackSpec { seed: args.seed, train_days: args.train_days, judged_days: args.days };
    let series = shop_pack(spec)?;
    for one in &series {
        let path = args.output.join(&one.entry.path);
        make_parent(&path)?;
        let file = std::fs::File::create(&path).with_context(|| format!("writing {}", path.display()))?;
        // Without a time or a name in its head, the same content is the same file.
        let mut zipped = GzBuilder::new().write(file, Compression::best());
        zipped.write_all(one.csv.as_bytes()).and_then(|()| zipped.finish()?.sync_all()).with_context(|| {
            format!("writing {}: free space, then remove {} and start again", path.display(), args.output.display())
        })?;
    }
    let entries: Vec<&SeriesEntry> = series.iter().map(|one| &one.entry).collect();
    // Last: without it the directory is no pack.
    let manifest = args.output.join("manifest.json");
    std::fs::write(&manifest, serde_json::to_string_pretty(&entries)? + "\n")
        .with_context(|| format!("writing {}", manifest.display()))?;
    print(&format!(
        "{} services, {} days to train on and {} with faults; the pack is {}\n",
        series.len(),
        args.train_days,
        args.days,
        args.output.display()
    ));
    Ok(())
}

fn make_parent(path: &Path) -> anyhow::Result<()> {
    let Some(dir) = path.parent() else { return Ok(()) };
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))
}
