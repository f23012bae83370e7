//! Images: whether they are there, and how they get there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::Docker;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptions, CreateImageOptionsBuilder};
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::timeout;
use zenekar_base::{ErrorClass, ProviderError};

use crate::error::{failed, invalid, is_not_found};
use crate::spec::{Origin, Spec};

/// How long one call waits for an image. Creating may take three minutes; the
/// next call goes on waiting.
const WAIT_MAX: Duration = Duration::from_mins(2);

/// How long an engine may take to fetch an image, also over a slow line.
const FETCH_MAX: Duration = Duration::from_hours(1);

/// The bytes of a tarball that an engine fetches at most: several times the
/// largest images that people use.
const TARBALL_BYTES_MAX: i64 = 32 << 30;

type Outcome = Option<Result<(), ProviderError>>;

/// Images that are being fetched. Each is fetched once, however many calls
/// wait for it, and also when all of them have given up waiting.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    running: Arc<Mutex<HashMap<String, watch::Receiver<Outcome>>>>,
}

impl Fetches {
    /// Waits until an image is at the engine, which fetches it if need be.
    pub(crate) async fn ensure(&self, docker: &Docker, spec: &Spec) -> Result<(), ProviderError> {
        if is_there(docker, &spec.image).await? {
            return Ok(());
        }
        if spec.origin == Origin::Local {
            return Err(invalid(format!(
                "image `{}` is not at the engine, and with origin `local` it is not fetched",
                spec.image
            )));
        }
        let mut outcome = self.join(docker, spec);
        let waited = timeout(WAIT_MAX, outcome.wait_for(Option::is_some)).await;
        match waited {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Ok(())),
            Ok(Err(_)) => Err(ProviderError::new(
                ErrorClass::Retryable,
                format!("fetching image `{}` was interrupted", spec.image),
            )),
            Err(_) => Err(ProviderError::new(
                ErrorClass::Retryable,
                format!("image `{}` is still being fetched", spec.image),
            )),
        }
    }

    /// Starts to fetch an image, or joins whoever does.
    fn join(&self, docker: &Docker, spec: &Spec) -> watch::Receiver<Outcome> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(receiver) = running.get(&spec.image) {
            return receiver.clone();
        }
        let (sender, receiver) = watch::channel(None);
        running.insert(spec.image.clone(), receiver.clone());
        let (all, docker) = (Arc::clone(&self.running), docker.clone());
        let (image, origin) = (spec.image.clone(), spec.origin.clone());
        tokio::spawn(async move {
            let result = match timeout(FETCH_MAX, fetch(&docker, &image, &origin)).await {
                Ok(result) => result,
                Err(_) => Err(ProviderError::new(
                    ErrorClass::Retryable,
                    format!("fetching image `{image}` took more than an hour"),
                )),
            };
            all.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&image);
            sender.send_replace(Some(result));
        });
        receiver
    }
}

/// Says whether an image is at the engine.
pub(crate) async fn is_there(docker: &Docker, image: &str) -> Result<bool, ProviderError> {
    match docker.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(failed(format!("look at image `{image}`"))(error)),
    }
}

async fn fetch(docker: &Docker, image: &str, origin: &Origin) -> Result<(), ProviderError> {
    let mut progress = Box::pin(docker.create_image(Some(options(image, origin)), None, None));
    let operation = match origin {
        Origin::Tarball(url) => format!("import image `{image}` from `{}`", without_secrets(url)),
        Origin::Registry | Origin::Local => format!("pull image `{image}`"),
    };
    while let Some(step) = progress.next().await {
        let step = step.map_err(|error| as_failure(failed(operation.clone())(error)))?;
        if is_too_large(&step) {
            return Err(invalid(format!(
                "cannot {operation}: it has more than {} GiB",
                TARBALL_BYTES_MAX >> 30
            )));
        }
    }
    Ok(())
}

/// An image that a registry does not have will not be there next time, either;
/// and fetching an image makes no instance, however it ends.
fn as_failure(mut error: ProviderError) -> ProviderError {
    error.class = match error.class {
        ErrorClass::NotFound => ErrorClass::Invalid,
        ErrorClass::Unknown | ErrorClass::Conflict => ErrorClass::Retryable,
        class => class,
    };
    error
}

fn is_too_large(step: &CreateImageInfo) -> bool {
    let current = step
        .progress_detail
        .as_ref()
        .and_then(|progress| progress.current);
    current.is_some_and(|bytes| bytes > TARBALL_BYTES_MAX)
}

fn options(image: &str, origin: &Origin) -> CreateImageOptions {
    let builder = CreateImageOptionsBuilder::default();
    match origin {
        Origin::Tarball(url) => {
            let (name, tag) = name_and_tag(image);
            builder.from_src(url).repo(name).tag(tag).build()
        }
        Origin::Registry | Origin::Local => builder.from_image(image).build(),
    }
}

/// Splits `host:5000/name:tag`.
fn name_and_tag(image: &str) -> (&str, &str) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

/// Leaves out of an address what may be a secret: user, password and query.
pub(crate) fn without_secrets(url: &str) -> String {
    let bare = url.split(['?', '#']).next().unwrap_or(url);
    match bare.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or(authority);
            format!("{scheme}://{host}/{path}")
        }
        None => bare.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_tags_are_told_apart() {
        for (image, expected) in [
            ("host:5000/name:tag", ("host:5000/name", "tag")),
            ("host:5000/name", ("host:5000/name", "latest")),
            ("name:tag", ("name", "tag")),
        ] {
            assert_eq!(name_and_tag(image), expected);
        }
    }

    #[test]
    fn addresses_are_shown_without_secrets() {
        assert_eq!(
            without_secrets("https://me:secret@host/a.tar?token=secret"),
            "https://host/a.tar"
        );
    }
}
