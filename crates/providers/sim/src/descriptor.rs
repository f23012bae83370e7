//! What the `resource` section of a descriptor can say to this provider.

use xxhash_rust::xxh3::Xxh3;
use zenekar_base::{ErrorClass, Fingerprint, ProviderError, Value};
use zenekar_model::Rendered;
use zenekar_provider::CreateRequest;
use zenekar_simcloud::{CreateInstance, SpanRange};

/// The most cores of one machine; keeps sums far from overflow.
const CORES_MAX: u32 = 65_536;

/// Translates a request; the error says which key is wrong.
pub(crate) fn create_instance(request: CreateRequest) -> Result<CreateInstance, ProviderError> {
    let section = &request.rendered.resource;
    let cores = number(section, "cores")?.unwrap_or(1.0);
    if cores.fract() != 0.0 || !(1.0..=f64::from(CORES_MAX)).contains(&cores) {
        return Err(invalid(
            "cores",
            &format!("a whole number from 1 to {CORES_MAX}"),
        ));
    }
    let percent = number(section, "boot_failure_percent")?;
    if percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
        return Err(invalid("boot_failure_percent", "a number from 0 to 100"));
    }
    Ok(CreateInstance {
        cores: truncate(cores),
        create: span(section, "create_ms")?,
        boot: span(section, "boot_ms")?,
        contextualise: span(section, "contextualise_ms")?,
        boot_failure: percent.map(|percent| truncate(percent * 10_000.0)),
        fingerprint: fingerprint(&request.rendered),
        infrastructure: request.infrastructure,
        instance: request.instance,
        token: request.token,
        name: request.name,
    })
}

/// Rounds a number down that lies within the bounds of the type.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers have checked the bounds"
)]
fn truncate(number: f64) -> u32 {
    number as u32
}

fn invalid(key: &str, wanted: &str) -> ProviderError {
    ProviderError::new(
        ErrorClass::Invalid,
        format!("resource key `{key}` needs {wanted}"),
    )
}

fn number(section: &Value, key: &str) -> Result<Option<f64>, ProviderError> {
    match section.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => as_number(value)
            .map(Some)
            .ok_or_else(|| invalid(key, "a number")),
    }
}

/// Reads a number; also one that a template has written as text.
#[expect(
    clippy::cast_precision_loss,
    reason = "the bounds that follow are far below 2^52"
)]
fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Float(number) => Some(number.0),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn span(section: &Value, key: &str) -> Result<Option<SpanRange>, ProviderError> {
    let wrong = || {
        invalid(
            key,
            "milliseconds: a whole number, or two in order as `[min, max]`, up to a week",
        )
    };
    let milliseconds = |value: &Value| {
        let number = as_number(value)?;
        (number >= 0.0 && number.fract() == 0.0 && number <= f64::from(u32::MAX))
            .then(|| u64::from(truncate(number)))
    };
    let range = match section.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::List(ends)) => match ends.as_slice() {
            [low, high] => milliseconds(low).zip(milliseconds(high)),
            _ => None,
        },
        Some(value) => milliseconds(value).map(|length| (length, length)),
    };
    let range = range
        .map(|(low, high)| SpanRange::new(low, high))
        .filter(|range| range.is_valid());
    range.map(Some).ok_or_else(wrong)
}

/// Returns the fingerprint of everything that makes two create calls the same.
/// It is fast rather than cryptographic, and kept in the files of the cloud.
fn fingerprint(rendered: &Rendered) -> Fingerprint {
    let mut hasher = Xxh3::new();
    let Rendered {
        resource,
        user_data,
        environment,
        command,
        attributes,
    } = rendered;
    value_into(&mut hasher, resource);
    text_into(&mut hasher, user_data.as_deref().unwrap_or_default());
    for (name, value) in environment {
        text_into(&mut hasher, name);
        text_into(&mut hasher, value);
    }
    hasher.update(b"command");
    for word in command.iter().flatten() {
        text_into(&mut hasher, word);
    }
    value_into(&mut hasher, attributes);
    Fingerprint(hasher.digest128())
}

fn text_into(hasher: &mut Xxh3, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

fn value_into(hasher: &mut Xxh3, value: &Value) {
    match value {
        Value::Null => hasher.update(b"0"),
        Value::Bool(truth) => hasher.update(&[b'b', u8::from(*truth)]),
        Value::Int(number) => {
            hasher.update(b"i");
            hasher.update(&number.to_le_bytes());
        }
        Value::Float(number) => {
            hasher.update(b"f");
            hasher.update(&number.0.to_bits().to_le_bytes());
        }
        Value::String(text) | Value::Date(text) => {
            hasher.update(b"s");
            text_into(hasher, text);
        }
        Value::Bytes(bytes) => {
            hasher.update(b"y");
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        Value::List(items) => {
            hasher.update(b"l");
            hasher.update(&(items.len() as u64).to_le_bytes());
            // The depth of values is bounded where they are read.
            for item in items {
                value_into(hasher, item);
            }
        }
        Value::Map(entries) => {
            hasher.update(b"m");
            hasher.update(&(entries.len() as u64).to_le_bytes());
            for (key, value) in entries {
                text_into(hasher, key);
                value_into(hasher, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use zenekar_base::{InfrastructureId, InstanceTag, Token};

    use super::*;

    fn translate(section: &[(&str, Value)]) -> Result<CreateInstance, String> {
        let resource = Value::Map(
            section
                .iter()
                .map(|(key, value)| ((*key).to_owned(), value.clone()))
                .collect(),
        );
        let request = CreateRequest {
            infrastructure: InfrastructureId::new("demo"),
            instance: InstanceTag::new("tag"),
            token: Token::new("token"),
            name: "node/1".to_owned(),
            rendered: Rendered {
                resource,
                ..Rendered::default()
            },
        };
        create_instance(request).map_err(|error| error.message)
    }

    #[test]
    fn every_key_may_be_left_out() {
        let plain = translate(&[]).expect("valid");
        assert_eq!(
            (plain.cores, plain.boot, plain.boot_failure),
            (1, None, None)
        );
    }

    #[test]
    fn keys_are_read_as_numbers_ranges_and_rendered_text() {
        let read = translate(&[
            ("region", "north".into()),
            ("cores", "4".into()),
            ("create_ms", 5.into()),
            ("boot_ms", Value::List(vec![100.into(), 200.into()])),
            ("contextualise_ms", Value::Null),
            (
                "boot_failure_percent",
                Value::Float(zenekar_base::Float(2.5)),
            ),
        ])
        .expect("valid");
        assert_eq!(
            (read.cores, read.boot_failure, read.contextualise),
            (4, Some(25_000), None)
        );
        assert_eq!(
            (read.create, read.boot),
            (Some(SpanRange::fixed(5)), Some(SpanRange::new(100, 200)))
        );
    }

    #[test]
    fn mistakes_name_the_key() {
        let wrong: [(&str, Value); 7] = [
            ("cores", 0.into()),
            ("cores", "many".into()),
            ("cores", Value::Float(zenekar_base::Float(1.5))),
            ("boot_ms", Value::List(vec![200.into(), 100.into()])),
            ("create_ms", (-1).into()),
            ("contextualise_ms", Value::Int(i128::MAX)),
            ("boot_failure_percent", 101.into()),
        ];
        for (key, value) in wrong {
            let message = translate(&[(key, value)]).expect_err("invalid");
            assert!(message.contains(&format!("`{key}`")), "{message}");
        }
    }

    #[test]
    fn fingerprints_tell_parameters_apart() {
        let print = |user_data: Option<&str>, words: &[&str]| {
            let command =
                (!words.is_empty()).then(|| words.iter().map(|&word| word.to_owned()).collect());
            fingerprint(&Rendered {
                user_data: user_data.map(str::to_owned),
                command,
                ..Rendered::default()
            })
        };
        assert_eq!(print(Some("a"), &["b"]), print(Some("a"), &["b"]));
        assert_ne!(print(Some("a"), &[]), print(Some("b"), &[]));
        assert_ne!(print(None, &["ab", "c"]), print(None, &["a", "bc"]));
    }
}
