//! Window joins: both sides carry the same window.

use std::sync::Arc;

use datafusion_expr::Join;
use nowcast_transforms::{WindowJoin, WindowJoinSpec};

use super::join::{Parts, text};
use super::{Lowered, Lowering, boxed};
use crate::catalog::Role;
use crate::error::SqlResult;

/// The columns of the window's end, where the keys of a join hold the window's bounds of both sides.
pub(super) fn window_ends(parts: &Parts) -> Option<[usize; 2]> {
    if parts.left.rows.retracts || parts.right.rows.retracts {
        return None;
    }
    let both = |role: Role| {
        let mut keys = parts.left.keys.iter().zip(&parts.right.keys);
        keys.find(|(left, right)| {
            parts.left.rows.roles[**left] == role && parts.right.rows.roles[**right] == role
        })
    };
    both(Role::WindowStart)?;
    both(Role::WindowEnd).map(|(left, right)| [*left, *right])
}

impl Lowering<'_> {
    pub(super) fn window_join(
        &mut self,
        join: &Join,
        parts: Parts,
        window_ends: [usize; 2],
    ) -> SqlResult<Lowered> {
        let spec = WindowJoinSpec { join: self.join_spec(&parts)?, window_ends };
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
