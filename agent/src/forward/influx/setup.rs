//! Setting up a bucket on an InfluxDB 2 server, and reading back what it holds, through the crate `influxdb2`.
//!
//! Not part of the write path: that is our own. Plain `http` only, as this crate is built here without TLS.

use influxdb2::{
    Client, RequestError,
    api::{buckets::ListBucketsRequest, organization::ListOrganizationRequest},
    models::{PostBucketRequest, Query, health::Status},
};

use super::{Config, Version, verdict::excerpt};

/// Why a server could not be set up, by what the operator does next.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Nothing to set up there.
    #[error("setting up a bucket needs version = 2 and an http:// address, {0} has another")]
    NotHere(String),
    /// The server says it is ill.
    #[error("the server is not well: {}", excerpt(.0))]
    Ill(String),
    /// The organisation is not there.
    #[error("the server knows no organisation {0:?}: create it, or check the token's rights")]
    NoOrganisation(String),
    /// The server refused or did not answer.
    #[error("the server did not do it: {}", excerpt(&.0.to_string()))]
    Refused(#[from] RequestError),
}

/// What setting up led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// It was there.
    Found,
    /// It was created, without an end of retention.
    Created,
}

/// Checks the server's health and creates the bucket where it is missing.
pub async fn ensure_bucket(config: &Config) -> Result<Bucket, SetupError> {
    let (client, org, bucket) = connect(config)?;
    let health = client.health().await?;
    if health.status != Status::Pass {
        return Err(SetupError::Ill(health.message.unwrap_or_default()));
    }
    let mut wanted = ListOrganizationRequest::new();
    wanted.org = Some(org.to_owned());
    let found = client.list_organizations(wanted).await?;
    let id = found
        .orgs
        .into_iter()
        .find(|found| found.name == org)
        .and_then(|org| org.id);
    let id = id.ok_or_else(|| SetupError::NoOrganisation(org.to_owned()))?;
    let request = ListBucketsRequest {
        name: Some(bucket.to_owned()),
        org_id: Some(id.clone()),
        ..ListBucketsRequest::default()
    };
    let buckets = client.list_buckets(Some(request)).await?.buckets;
    if buckets.iter().any(|found| found.name == bucket) {
        return Ok(Bucket::Found);
    }
    let request = PostBucketRequest::new(id, bucket.to_owned());
    client.create_bucket(Some(request)).await?;
    Ok(Bucket::Created)
}

/// All values of one field of one measurement, in the server's order.
pub async fn read_back(config: &Config, measurement: &str, field: &str) -> Result<Vec<f64>, SetupError> {
    let (client, _, bucket) = connect(config)?;
    let flux = format!(
        "from(bucket: {bucket:?}) |> range(start: 0) \
         |> filter(fn: (r) => r._measurement == {measurement:?} and r._field == {field:?})"
    );
    let records = client.query_raw(Some(Query::new(flux))).await?;
    Ok(records
        .iter()
        .filter_map(|record| record.values.get("_value")?.f64())
        .collect())
}

fn connect(config: &Config) -> Result<(Client, &str, &str), SetupError> {
    match &config.version {
        Version::V2 { org, bucket, token } if config.url.scheme() == "http" => {
            let client = Client::new(config.url.as_str(), org.as_str(), token.expose());
            Ok((client, org, bucket))
        }
        _ => Err(SetupError::NotHere(config.name.clone())),
    }
}
