//! Window joins: both sides carry the same window.

use std::sync::Arc;

use datafusion_expr::Join;
use nowcast_transforms::{WindowJoin, WindowJoinSpec};

use super::join::{Parts, text};
use super::{Lowered, Lowering, boxed};
use crate::catalog::{Role, Windowed};
use crate::error::SqlResult;

/// The columns of the window's end and what the windows go by, where the keys of a join hold the
/// window's bounds of both sides.
pub(super) fn window_ends(parts: &Parts) -> Option<([usize; 2], Windowed)> {
    if parts.left.rows.retracts || parts.right.rows.retracts {
        return None;
    }
    let roles = [&parts.left.rows.roles, &parts.right.rows.roles];
    let keys = || parts.left.keys.iter().zip(&parts.right.keys);
    let mut shared = keys().filter(|(left, right)| roles[0][**left] == roles[1][**right]);
    let (ends, windowed) = shared.find_map(|(left, right)| match roles[0][*left] {
        Role::WindowEnd(windowed) => Some(([*left, *right], windowed)),
        _ => None,
    })?;
    let start = Role::WindowStart(windowed);
    let starts =
        |(left, right): (&usize, &usize)| [roles[0][*left], roles[1][*right]] == [start; 2];
    keys().any(starts).then_some((ends, windowed))
}

impl Lowering<'_> {
    pub(super) fn window_join(
        &mut self,
        join: &Join,
        parts: Parts,
        (window_ends, windowed): ([usize; 2], Windowed),
    ) -> SqlResult<Lowered> {
        self.by_watermark(windowed, &["JOIN"], "a join of windows")?;
        let spec = WindowJoinSpec {
            join: self.join_spec(&parts)?,
            clock: self.window_clock(windowed),
            window_ends,
        };
        let schema = Arc::clone(&spec.join.schema);
        let mut roles = parts.left.rows.roles.clone();
        roles.extend(parts.right.rows.roles.iter().copied());
        roles.truncate(schema.fields().len());
        let make = move |_| Ok(boxed(WindowJoin::new(spec.clone())?));
        let inputs = Self::exchanged(&parts);
        let rows =
            self.operator("WindowJoin", &text(join), inputs, schema, roles, Arc::new(make))?;
        self.without_keys(join, &parts, rows)
    }
}
