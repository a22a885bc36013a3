//! Every example is taken by the API server and works.

use anyhow::{Context, Result};
use e2e::{GatewayUnderTest, Operator, Scenario, examples};

#[tokio::test(flavor = "multi_thread")]
async fn every_example_works_in_a_cluster() -> Result<()> {
    let world = Scenario::without_operator("examples").await?;
    let operator = Operator::start(world.cluster, examples::operator_config(&world)?).await?;
    // The context means a gateway: the same one under other settings, or one beside a Dashboard.
    let beside = GatewayUnderTest::gateway().await?;
    let of_context = match world.gateway.mode() {
        "pro" => &beside,
        _ => &world.gateway,
    };
    examples::prepare(&world, of_context).await?;
    examples::live(&world).await.with_context(|| operator.tail())?;
    operator.stop().await?;
    world.stop().await
}
