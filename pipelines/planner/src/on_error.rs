//! What becomes of rows that cannot be processed: `'on-error'` of a table, `execution.on-error` and
//! `execution.error-rate.…` of a job. What takes the dead letters is read where jobs are started.

use std::collections::BTreeMap;

use nowcast_engine::{ErrorPolicy, ErrorRate, OnError};

use crate::error::{SqlError, SqlResult};
use crate::planner::Settings;

/// The option of a table. It wins over the setting of the job.
pub const OPTION: &str = "on-error";

const SETTING: &str = "execution.on-error";
const RATE_PREFIX: &str = "execution.error-rate.";
const RATE_MAX: &str = "execution.error-rate.max";
const RATE_ROWS: &str = "execution.error-rate.rows";

const LETTERS_PREFIX: &str = "execution.dead-letter.";
const LETTERS_TOPIC: &str = "execution.dead-letter.topic";
const LETTERS_PROPERTIES: &str = "execution.dead-letter.properties.";

/// Rows that are looked at together where nothing is said.
const ROWS: usize = 1_000;

const CHOICES: [(&str, OnError); 3] =
    [("dead-letter", OnError::DeadLetter), ("fail", OnError::Fail), ("skip", OnError::Skip)];

/// What a table says of itself.
pub fn of_table(options: &BTreeMap<String, String>) -> SqlResult<Option<OnError>> {
    options.get(OPTION).map(|value| choice(OPTION, value)).transpose()
}

/// # Errors
/// Where one of these settings, or of those of the dead letters, has a value that it does not take.
pub fn check(key: &str, value: &str) -> SqlResult<()> {
    match key {
        SETTING => choice(key, value).map(drop),
        RATE_MAX => share(value).map(drop),
        RATE_ROWS => rows(value).map(drop),
        key if key.starts_with(RATE_PREFIX) => {
            Err(SqlError::nowhere(format!("there is no setting '{key}'"))
                .hint(format!("there are '{RATE_MAX}' and '{RATE_ROWS}'")))
        }
        key if key.starts_with(LETTERS_PREFIX)
            && key != LETTERS_TOPIC
            && !key.starts_with(LETTERS_PROPERTIES) =>
        {
            Err(SqlError::nowhere(format!("there is no setting '{key}'")).hint(format!(
                "there are '{LETTERS_TOPIC}' and '{LETTERS_PROPERTIES}bootstrap.servers'"
            )))
        }
        _ => Ok(()),
    }
}

/// What a job does; `stages` are those whose tables say something else.
pub fn policy(settings: &Settings, stages: BTreeMap<String, OnError>) -> SqlResult<ErrorPolicy> {
    let on_error = settings.get(SETTING).map(|value| choice(SETTING, value)).transpose()?;
    let rows = settings.get(RATE_ROWS).map(|value| rows(value)).transpose()?.unwrap_or(ROWS);
    let max = settings.get(RATE_MAX).map(|value| share(value)).transpose()?;
    let rate = max.map(|max| ErrorRate { max, rows });
    Ok(ErrorPolicy { on_error: on_error.unwrap_or_default(), stages, rate })
}

fn choice(key: &str, value: &str) -> SqlResult<OnError> {
    let found = CHOICES.iter().find(|(name, _)| name.eq_ignore_ascii_case(value));
    found.map(|(_, on_error)| *on_error).ok_or_else(|| {
        SqlError::nowhere(format!("'{key}' = '{value}' is not known"))
            .hint("'dead-letter', 'fail' or 'skip'")
    })
}

/// `5%`, or `0.05`.
fn share(text: &str) -> SqlResult<f64> {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    share.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| {
        SqlError::nowhere(format!("'{RATE_MAX}' = '{text}' is no share of rows"))
            .hint("such as '5%' or '0.05'")
    })
}

fn rows(text: &str) -> SqlResult<usize> {
    text.trim().parse().ok().filter(|rows| *rows > 0).ok_or_else(|| {
        SqlError::nowhere(format!("'{RATE_ROWS}' = '{text}' is no number of rows"))
            .hint(format!("such as '{ROWS}'"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_percent_or_parts_of_one() {
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share(" 0.25 "), Ok(0.25));
        for wrong in ["5", "101%", "-1%", "NaN", "many"] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_wins_over_its_job() {
        let settings = [(SETTING.to_owned(), "skip".to_owned())].into();
        let stages = BTreeMap::from([("t".to_owned(), OnError::Fail)]);
        let policy = policy(&settings, stages).unwrap();
        assert_eq!(policy.on_error, OnError::Skip);
        assert_eq!(policy.stages["t"], OnError::Fail);
        assert_eq!(policy.rate, None);
        assert!(check(SETTING, "skp").is_err());
    }
}
