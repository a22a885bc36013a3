//! Children and finalizers.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::json;
use tyk_ingress::api::{Generated, names};
use tyk_ingress::cluster::finalizer;
use tyk_ingress::ingress::{self, Options};
use tyk_ingress::snapshot::Snapshot;

use crate::world::{World, spec, versions};

#[tokio::test]
async fn children_come_and_come_back_whole_and_go() -> Result<()> {
    let world = World::start("children").await?;
    let mut template = spec("/t");
    template["config_data"] = json!({"null": null, "empty": {}, "none": [], "float": 1.5});
    world
        .apply("ApiDefinition", "template", json!({"template": "true"}), template)
        .await?;
    world
        .ingress("web", json!({"tyk.io/template": "template"}), "/one")
        .await?;
    let snapshot = world
        .snapshot("the Ingress", |s| {
            !s.ingresses.is_empty() && !s.api_definitions.is_empty()
        })
        .await?;
    let first = world.render(&snapshot).await?;
    ensure!(first.len() == 2, "{first:?}");
    // The watch has not told of the child: found, taken for ours and left as it is.
    let again = world.render(&snapshot).await?;
    ensure!(versions(&first) == versions(&again), "a second apply wrote");
    let snapshot = world.caught_up().await?;
    // Or else it would be sent again in every round.
    for (name, child) in ingress::render(&snapshot, &Options::default()).children {
        let stored = serde_json::to_value(snapshot.api_definitions[&name].spec())?;
        ensure!(
            child.spec == *snapshot.api_definitions[&name].spec(),
            "it is stored as {stored}"
        );
    }
    ensure!(
        versions(&world.render(&snapshot).await?) == versions(&first),
        "a third apply wrote"
    );
    let child = first.iter().find(|one| one.is_child()).context("no child")?;
    ensure!(child.finalizers() == [names::FINALIZER_API_DEFINITION]);
    let name = child.name_any();

    let edit = json!({"metadata": {"labels": {"tyk.io/ingress": null, "mine": "x"}, "finalizers": null},
        "spec": {"made_up": {"a": [1]}, "use_keyless": null, "config_data": {"deep": true},
            "proxy": {"strip_listen_path": true, "own": 1}}});
    world.patch(&name, edit).await?;
    world.render(&*world.caught_up().await?).await?;
    let back = world.definitions().get(&name).await?;
    ensure!(back.spec == child.spec, "{:?}", serde_json::to_value(&back.spec)?);
    ensure!(back.labels()["mine"] == "x" && back.is_child(), "{:?}", back.labels());
    ensure!(back.finalizers() == child.finalizers());

    world.ingress("web", json!({}), "/two").await?;
    let moved = |s: &Snapshot| s.ingresses.values().any(|one| one.annotations().next().is_none());
    world.snapshot("the new path", moved).await?;
    let objects = world.render(&*world.caught_up().await?).await?;
    ensure!(
        objects.iter().filter(|one| one.is_child()).count() == 2,
        "the old one waits for its finalizer"
    );
    let old = world.definitions().get(&name).await?;
    ensure!(old.metadata.deletion_timestamp.is_some());
    finalizer::release(&world.client, &old).await?;
    ensure!(world.definitions().get_opt(&name).await?.is_none(), "it is still there");
    // An object that is gone stays gone, whoever asks.
    finalizer::release(&world.client, &old).await?;
    let mut without = back.clone();
    without.metadata.finalizers = None;
    finalizer::ensure(&world.client, &without).await?;
    ensure!(world.definitions().get_opt(&name).await?.is_none(), "it was made anew");
    Ok(())
}

#[tokio::test]
async fn a_field_that_is_not_rendered_any_more_goes() -> Result<()> {
    let world = World::start("fields").await?;
    let mut template = spec("/t");
    template["tags"] = json!(["a"]);
    template["CORS"] = json!({"enable": true, "max_age": 3});
    world
        .apply("ApiDefinition", "template", json!({"template": "true"}), template)
        .await?;
    world
        .ingress("web", json!({"tyk.io/template": "template"}), "/")
        .await?;
    let both = |s: &Snapshot| !s.ingresses.is_empty() && !s.api_definitions.is_empty();
    let made = world.render(&*world.snapshot("both", both).await?).await?;
    let child = made.iter().find(|one| one.is_child()).context("no child")?;
    ensure!(child.spec.definition.contains_key("tags"));
    world
        .patch("template", json!({"spec": {"tags": null, "CORS": {"max_age": null}}}))
        .await?;
    world.render(&*world.caught_up().await?).await?;
    let child = world.definitions().get(&child.name_any()).await?;
    ensure!(!child.spec.definition.contains_key("tags"), "{:?}", child.spec);
    ensure!(
        child.spec.definition.get("CORS") == Some(json!({"enable": true})),
        "{:?}",
        child.spec.definition.get("CORS")
    );
    let before = child.resource_version();
    world.render(&*world.caught_up().await?).await?;
    ensure!(world.definitions().get(&child.name_any()).await?.resource_version() == before);
    Ok(())
}

#[tokio::test]
async fn what_is_not_a_child_is_never_taken() -> Result<()> {
    let world = World::start("foreign").await?;
    world.ingress("web", json!({}), "/").await?;
    let before = world.snapshot("the Ingress", |s| !s.ingresses.is_empty()).await?;
    let translation = ingress::render(&before, &Options::default());
    let name = translation.children.keys().next().context("no child")?.clone();
    // The labels alone make no child.
    world
        .apply(
            "ApiDefinition",
            &name.name,
            json!({"tyk.io/ingress": "web"}),
            spec("/mine"),
        )
        .await?;
    let after = world.caught_up().await?;
    for (snapshot, told) in [(&before, 0), (&after, 1)] {
        // Before the watch has told of it, nothing is known but that the name is taken.
        let errors = world.try_render(snapshot).await;
        ensure!(errors.len() == told, "{errors:?}");
        ensure!(
            errors
                .iter()
                .all(|(of, error)| *of == name && error.contains("not made from")),
            "{errors:?}"
        );
        let object = world.definitions().get(&name.name).await?;
        ensure!(
            object.spec.definition.value()["proxy"]["listen_path"] == "/mine",
            "it was overwritten"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_child_of_an_earlier_ingress_makes_room() -> Result<()> {
    let world = World::start("earlier").await?;
    world.ingress("web", json!({}), "/").await?;
    let first = world
        .render(&*world.snapshot("the Ingress", |s| !s.ingresses.is_empty()).await?)
        .await?;
    let name = first[0].name_any();
    let ingresses: Api<Ingress> = Api::namespaced(world.admin.clone(), &world.namespace);
    let old = ingresses.get("web").await?.uid();
    ingresses.delete("web", &DeleteParams::default()).await?;
    world.ingress("web", json!({}), "/").await?;
    let new = |s: &Snapshot| s.ingresses.values().any(|one| one.uid() != old.as_deref());
    world.snapshot("the new Ingress", new).await?;
    eventually(PATIENCE, "a child of the new Ingress", async || {
        let snapshot = world.caught_up().await?;
        world.render(&snapshot).await?;
        let report = world.report(&snapshot, None);
        finalizer::release_named(&world.client, &snapshot, &report.release).await;
        let child = world.definitions().get(&name).await?;
        let owner = &child.owner_references()[0].uid;
        ensure!(
            child.metadata.deletion_timestamp.is_none() && Some(owner) != old.as_ref(),
            "{:?}",
            child.metadata
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn finalizers_of_others_stay() -> Result<()> {
    let world = World::start("finalizers").await?;
    world.apply("ApiDefinition", "a", json!({}), spec("/a")).await?;
    world
        .apply("ApiDefinition", "t", json!({"template": "true"}), spec("/t"))
        .await?;
    world
        .patch("a", json!({"metadata": {"finalizers": ["example.com/theirs"]}}))
        .await?;
    let snapshot = world.caught_up().await?;
    let errors = finalizer::ensure_all(&world.client, &snapshot).await;
    ensure!(errors.is_empty(), "{errors:?}");
    let object = world.definitions().get("a").await?;
    let all: BTreeSet<_> = object.finalizers().iter().map(String::as_str).collect();
    ensure!(
        all == BTreeSet::from(["example.com/theirs", names::FINALIZER_API_DEFINITION]),
        "{all:?}"
    );
    ensure!(
        world.definitions().get("t").await?.finalizers().is_empty(),
        "a template has no finalizer of ours"
    );
    world.delete("a").await?;
    let deleting = world.definitions().get("a").await?;
    // Somebody else adds one after our look at the object: nothing goes until the watch has told of it.
    let mut stale = deleting.clone();
    stale.metadata.finalizers = Some(vec![names::FINALIZER_API_DEFINITION.to_owned()]);
    finalizer::release(&world.client, &stale).await?;
    ensure!(world.definitions().get("a").await?.finalizers() == deleting.finalizers());
    finalizer::release(&world.client, &deleting).await?;
    ensure!(world.definitions().get("a").await?.finalizers() == ["example.com/theirs"]);
    world.patch("a", json!({"metadata": {"finalizers": null}})).await?;
    ensure!(world.definitions().get_opt("a").await?.is_none());
    Ok(())
}
