//! The number of the account that the credentials belong to.

use zenekar_base::ErrorClass;

use crate::answer::{items, text};
use crate::api::Api;
use crate::error::ApiError;
use crate::inspect::{caller, may_lack_service};
use crate::limits::PAGE_ITEMS;
use crate::request::Request;

/// Whom the cloud takes us for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Who {
    /// The account's number; `None` if the cloud has no way to tell.
    pub(crate) number: Option<String>,
    /// The user or role.
    pub(crate) user: Option<String>,
}

/// Asks the identity service, or where there is none, or none that can be
/// reached from here, whom the default security groups belong to.
pub(crate) async fn who(api: &Api) -> Result<Who, ApiError> {
    let refused = match caller(api).await {
        Ok((number, user)) => {
            return Ok(Who {
                number: (!number.is_empty()).then_some(number),
                user: (!user.is_empty()).then_some(user),
            });
        }
        Err(error) => error,
    };
    let may_be_unreachable = matches!(refused.class, ErrorClass::Retryable | ErrorClass::Unknown);
    if !may_be_unreachable && !may_lack_service(&refused) {
        return Err(refused);
    }
    match owner_of_groups(api).await {
        Ok(Some(number)) => Ok(Who {
            number: Some(number),
            user: None,
        }),
        // It may be there the next time, and then tells something.
        Ok(None) | Err(_) if may_be_unreachable => Err(refused),
        Ok(None) => Ok(Who {
            number: None,
            user: None,
        }),
        // A right that is missing says that we are known.
        Err(error) if may_lack_service(&error) || error.class == ErrorClass::Auth => Ok(Who {
            number: None,
            user: None,
        }),
        Err(error) => Err(error),
    }
}

/// Returns whom the default groups belong to. Other groups may be those of
/// somebody who shares a network; default groups cannot be shared.
async fn owner_of_groups(api: &Api) -> Result<Option<String>, ApiError> {
    let request = Request::reading("DescribeSecurityGroups")
        .filtered("group-name", ["default"])
        .with("MaxResults", PAGE_ITEMS.to_string());
    let mut owners = api
        .pages(&request, |root, found: &mut Vec<String>| {
            found.extend(
                items(root, "securityGroupInfo")
                    .filter_map(|item| text(item, "ownerId"))
                    .map(str::to_owned),
            );
        })
        .await?;
    owners.sort_unstable();
    owners.dedup();
    Ok(owners.pop().filter(|_| owners.is_empty()))
}
