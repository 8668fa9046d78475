//! `nowcast dlq list`: jobs with their dead letters, counted by stage and reason.

use std::collections::BTreeMap;

use anyhow::Result;
use nowcast_engine::Millis;
use nowcast_planner::text_table;

use super::{Brokers, Place, known, time};
use crate::letters::{Letters, jobs, kind_of};
use crate::replayed::Replayed;

/// Letters of one stage and kind of reason.
#[derive(Default)]
struct Group {
    letters: u64,
    replayed: u64,
    newest: Option<Millis>,
}

pub async fn list(brokers: &mut Brokers, job: Option<String>, place: &Place) -> Result<()> {
    let jobs = match job {
        Some(job) => vec![known(brokers, place, &job).await?],
        None => {
            let mut all = vec![];
            for job in jobs(&place.data_dir)? {
                // One whose broker is away does not hide the others.
                match brokers.letters(place, &job).await {
                    Ok(letters) => all.push(letters),
                    Err(error) => tracing::warn!("job {job}: {error:#}"),
                }
            }
            all
        }
    };
    let data = place.data_dir.clone();
    tokio::task::spawn_blocking(move || {
        let mut rows = vec![];
        for letters in &jobs {
            let replayed = Replayed::read(&data, &letters.job)?;
            match rows_of(letters, &replayed) {
                Ok(groups) => rows.extend(groups),
                Err(error) if jobs.len() > 1 => tracing::warn!("job {}: {error:#}", letters.job),
                Err(error) => return Err(error),
            }
        }
        match rows.is_empty() {
            true => say!("no dead letters"),
            false => {
                let head = ["job", "letters", "replayed", "newest (UTC)", "stage", "reason"];
                say!("{}", text_table(&head.map(str::to_owned), &rows).trim_end());
            }
        }
        Ok(())
    })
    .await?
}

/// The groups of a job, the largest first.
fn rows_of(letters: &Letters, replayed: &Replayed) -> Result<Vec<Vec<Option<String>>>> {
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    letters.read(&mut |found| {
        let key = (found.letter.stage, kind_of(&found.letter.error));
        let group = groups.entry(key).or_default();
        group.letters += 1;
        group.replayed += u64::from(replayed.has(&found.place, found.number));
        group.newest = group.newest.max(found.letter.at);
        Ok(())
    })?;
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, group)| std::cmp::Reverse(group.letters));
    let row = |((stage, reason), group): ((String, String), Group)| {
        vec![
            Some(letters.job.clone()),
            Some(group.letters.to_string()),
            Some(group.replayed.to_string()),
            Some(time(group.newest).unwrap_or_default()),
            Some(stage),
            Some(reason),
        ]
    };
    Ok(groups.into_iter().map(row).collect())
}
