//! `/api/apis/{id}/access`: the owners of an API of any kind.

use hyper::Response;
use serde_json::{Value, json};

use super::envelope;
use super::visit::Visit;
use crate::sim::reply::{self, Body};

pub(super) fn answer(visit: &mut Visit<'_>, id: &str) -> Response<Body> {
    let (user, sent) = (visit.user, visit.sent);
    let Some(api) = visit.org.find_mut(id).filter(|api| api.is_visible_to(user)) else {
        return envelope::error(404, "API not found");
    };
    match sent.method.as_str() {
        "GET" => {
            let (users, groups) = (&api.wrapper["user_owners"], &api.wrapper["user_group_owners"]);
            reply::json(200, &json!({"userIds": users, "userGroupIds": groups}))
        }
        "PUT" => {
            let Some(mut owners) = sent.object() else {
                return envelope::error(500, "failed to unmarshal categories payload");
            };
            for (field, name) in [("user_owners", "userIds"), ("user_group_owners", "userGroupIds")] {
                let ids = owners.remove(name).filter(Value::is_array).unwrap_or_else(|| json!([]));
                api.wrapper.insert(field.to_owned(), ids);
            }
            envelope::ok("API access updated")
        }
        _ => reply::not_found(),
    }
}
