//! Whose keys are taken, and what becomes of those that end.

use std::sync::atomic::{AtomicUsize, Ordering};

use zenekar_base::{ErrorClass, InfrastructureId};
use zenekar_provider::{ObserveScope, Provider as _};
use zenekar_provider_ec2::{Ec2Provider, Ec2Settings};

use crate::peer::{Peer, Reply, instances};
use crate::support::{block_on, open};

/// Set for a copy of this test program: what it is to do.
const ROLE: &str = "ZENEKAR_TEST_EC2_ROLE";

/// Runs one of this file's tests in a process of its own, because the chain reads
/// the environment of its process. Returns what it printed.
fn in_process(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = std::process::Command::new(std::env::current_exe().expect("this program"));
    command
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env(ROLE, "child")
        // No test asks a metadata service of the machine that it runs on.
        .env("AWS_EC2_METADATA_DISABLED", "true");
    for (name, value) in variables {
        command.env(name, value);
    }
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

fn is_child() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Asks a peer with what the chain finds; prints the access key that it saw.
fn ask_with_the_chain() {
    block_on(async {
        let peer = Peer::start(|_| instances("", None)).await;
        let provider = Ec2Provider::open(Ec2Settings {
            name: "ec2".to_owned(),
            endpoint: Some(peer.url.clone()),
            region: Some("eu-west-1".to_owned()),
            ..Ec2Settings::default()
        })
        .unwrap();
        let answer = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await;
        match answer {
            Ok(_) => {
                let head = &peer.log()[0].head;
                let key = head
                    .split("Credential=")
                    .nth(1)
                    .and_then(|rest| rest.split('/').next());
                println!("signed by {}", key.unwrap_or("nobody"));
                let has_session = head.to_lowercase().contains("x-amz-security-token");
                println!("session {has_session}");
            }
            Err(error) => println!("failed: {error}"),
        }
    });
}

#[test]
fn the_environment_comes_first() {
    if is_child() {
        return ask_with_the_chain();
    }
    let printed = in_process(
        "credentials::the_environment_comes_first",
        &[
            ("AWS_ACCESS_KEY_ID", "FROMENVIRONMENT"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_SESSION_TOKEN", "y"),
        ],
    );
    assert!(printed.contains("signed by FROMENVIRONMENT"), "{printed}");
    assert!(printed.contains("session true"), "{printed}");
}

#[test]
fn shared_files_and_profiles_are_read() {
    if is_child() {
        return ask_with_the_chain();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    std::fs::write(
        &file,
        "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = x\n\
         [other]\naws_access_key_id = OTHER\naws_secret_access_key = x\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let test = "credentials::shared_files_and_profiles_are_read";
    let shared = ("AWS_SHARED_CREDENTIALS_FILE", file);
    let printed = in_process(test, &[shared]);
    assert!(printed.contains("signed by DEFAULT"), "{printed}");
    let printed = in_process(test, &[shared, ("AWS_PROFILE", "other")]);
    assert!(printed.contains("signed by OTHER"), "{printed}");
}

#[test]
fn a_program_can_give_credentials() {
    if is_child() {
        return ask_with_the_chain();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    let answer = r#"{"Version":1,"AccessKeyId":"FROMPROGRAM","SecretAccessKey":"x"}"#;
    std::fs::write(
        &file,
        format!("[default]\ncredential_process = echo '{answer}'\n"),
    )
    .unwrap();
    let printed = in_process(
        "credentials::a_program_can_give_credentials",
        &[("AWS_CONFIG_FILE", file.to_str().unwrap())],
    );
    assert!(printed.contains("signed by FROMPROGRAM"), "{printed}");
}

#[test]
fn a_service_of_the_container_gives_credentials() {
    if is_child() {
        return ask_with_the_chain();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let peer = runtime.block_on(Peer::start(|_| {
        Reply::json(
            r#"{"AccessKeyId":"FROMCONTAINER","SecretAccessKey":"x","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#,
        )
    }));
    let url = format!("{}/keys", peer.url);
    let printed = in_process(
        "credentials::a_service_of_the_container_gives_credentials",
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)],
    );
    assert!(printed.contains("signed by FROMCONTAINER"), "{printed}");
    assert!(printed.contains("session true"), "{printed}");
}

/// Asks a peer through the environment's proxy, and says how it ended.
fn ask_through_the_proxy() {
    block_on(async {
        let provider = Ec2Provider::open(Ec2Settings {
            name: "ec2".to_owned(),
            endpoint: Some("http://ec2.example".to_owned()),
            region: Some("eu-west-1".to_owned()),
            ..Ec2Settings::default()
        })
        .unwrap();
        let answer = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await;
        println!("answer {answer:?}");
    });
}

#[test]
fn metadata_is_not_asked_for_through_a_proxy() {
    if is_child() {
        return ask_through_the_proxy();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let service = runtime.block_on(Peer::start(|_| {
        Reply::json(
            r#"{"AccessKeyId":"FROMCONTAINER","SecretAccessKey":"x","Token":"t","Expiration":"2099-01-01T00:00:00Z"}"#,
        )
    }));
    let proxy = runtime.block_on(Peer::start(|_| instances("", None)));
    let test = "credentials::metadata_is_not_asked_for_through_a_proxy";
    let url = format!("{}/keys", service.url);
    let printed = in_process(
        test,
        &[
            ("HTTP_PROXY", &proxy.url),
            ("http_proxy", &proxy.url),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url),
        ],
    );
    assert!(printed.contains("answer Ok([])"), "{printed}");
    let asked: Vec<String> = proxy.log().iter().map(|form| form.path.clone()).collect();
    assert_eq!(asked, ["http://ec2.example/"], "the proxy is for the rest");
    assert_eq!(service.log().len(), 1);
    // The metadata of an instance: nobody is at its address here, and the proxy
    // is not asked instead. The time until that is known is not waited for.
    let printed = in_process(
        test,
        &[
            ("HTTP_PROXY", &proxy.url),
            ("http_proxy", &proxy.url),
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1"),
        ],
    );
    assert!(printed.contains("answer Err"), "{printed}");
    assert_eq!(proxy.log().len(), 1, "{:?}", proxy.log());
}

/// Says which region is taken.
fn show_the_region() {
    block_on(async {
        let provider = Ec2Provider::open(Ec2Settings {
            name: "ec2".to_owned(),
            ..Ec2Settings::default()
        })
        .unwrap();
        let answer = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await;
        println!("failed: {}", answer.expect_err("nobody is there"));
    });
}

#[test]
fn an_empty_variable_names_no_region() {
    if is_child() {
        return show_the_region();
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(
        &file,
        "[default]\nregion = mars-1\n[profile other]\nregion = venus-1\n",
    )
    .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let proxy = runtime.block_on(Peer::start(|_| Reply::Close));
    let base = [
        ("AWS_CONFIG_FILE", file.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", "KEY"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        // Nothing of this leaves the machine.
        ("HTTPS_PROXY", proxy.url.as_str()),
    ];
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "mars-1"),
        (&[("AWS_REGION", "")], "mars-1"),
        (&[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "")], "mars-1"),
        (
            &[("AWS_REGION", ""), ("AWS_DEFAULT_REGION", "moon-1")],
            "moon-1",
        ),
        (&[("AWS_REGION", ""), ("AWS_PROFILE", "other")], "venus-1"),
        (&[("AWS_REGION", ""), ("AWS_PROFILE", "")], "mars-1"),
    ];
    for (more, region) in cases {
        let variables: Vec<_> = base.iter().chain(more).copied().collect();
        let printed = in_process("credentials::an_empty_variable_names_no_region", &variables);
        let host = format!("https://ec2.{region}.amazonaws.com");
        assert!(printed.contains(&host), "{more:?}: {printed}");
    }
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    if is_child() {
        return ask_with_the_chain();
    }
    let folder = tempfile::tempdir().unwrap();
    let (config, credentials) = (folder.path().join("config"), folder.path().join("keys"));
    std::fs::write(&config, "[profile bare]\nregion = mars-1\n").unwrap();
    std::fs::write(
        &credentials,
        "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = x\n",
    )
    .unwrap();
    let (config, credentials) = (config.to_str().unwrap(), credentials.to_str().unwrap());
    let files = [
        ("AWS_CONFIG_FILE", config),
        ("AWS_SHARED_CREDENTIALS_FILE", credentials),
    ];
    let ask = |profile: &str| {
        let profile = [("AWS_PROFILE", profile)];
        let variables: Vec<_> = files.iter().chain(&profile).copied().collect();
        in_process(
            "credentials::a_profile_that_is_not_there_is_named",
            &variables,
        )
    };
    let (printed, places) = (ask("nope"), format!("`{config}` and `{credentials}`"));
    let wanted = format!("there is no profile `nope` in {places} (auth)");
    assert!(printed.contains(&wanted), "{printed}");
    let printed = ask("bare");
    assert!(
        printed.contains(&format!("profile `bare` of {places} has none either")),
        "{printed}"
    );
    assert!(ask("default").contains("signed by DEFAULT"));
    assert!(ask("").contains("signed by DEFAULT"));
}

#[test]
fn nothing_at_all_is_said_so() {
    if is_child() {
        return ask_with_the_chain();
    }
    let printed = in_process("credentials::nothing_at_all_is_said_so", &[]);
    assert!(printed.contains("no credentials"), "{printed}");
    assert!(printed.contains("(auth)"), "{printed}");
}

/// Asks twice, the second time with keys that the peer says are over.
fn ask_with_keys_that_end() {
    block_on(async {
        let asked = AtomicUsize::new(0);
        let peer = Peer::start(move |form| {
            let is_first = form.head.contains("Credential=SESSION1/");
            if is_first && asked.fetch_add(1, Ordering::Relaxed) > 0 {
                return Reply::refusal(400, "RequestExpired", "Request has expired.");
            }
            instances("", None)
        })
        .await;
        let provider = Ec2Provider::open(Ec2Settings {
            name: "ec2".to_owned(),
            endpoint: Some(peer.url.clone()),
            region: Some("eu-west-1".to_owned()),
            ..Ec2Settings::default()
        })
        .unwrap();
        for _ in 0..3 {
            let ours = InfrastructureId::new("ours");
            provider.observe(ours, ObserveScope::All).await.unwrap();
        }
        let signed: Vec<_> = peer
            .log()
            .iter()
            .map(|form| form.head.split("Credential=").nth(1).unwrap()[..8].to_owned())
            .collect();
        println!("signed by {signed:?}");
    });
}

#[test]
fn a_session_that_ends_is_renewed() {
    if is_child() {
        return ask_with_keys_that_end();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let given = AtomicUsize::new(0);
    let peer = runtime.block_on(Peer::start(move |_| {
        let number = given.fetch_add(1, Ordering::Relaxed) + 1;
        Reply::json(format!(
            r#"{{"AccessKeyId":"SESSION{number}","SecretAccessKey":"x","Token":"t{number}","Expiration":"2099-01-01T00:00:00Z"}}"#
        ))
    }));
    let url = format!("{}/keys", peer.url);
    let printed = in_process(
        "credentials::a_session_that_ends_is_renewed",
        &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url)],
    );
    let expected = r#"signed by ["SESSION1", "SESSION1", "SESSION2", "SESSION2"]"#;
    assert!(printed.contains(expected), "{printed}");
}

#[test]
fn given_keys_that_ended_are_an_error_at_once() {
    block_on(async {
        let peer = Peer::start(|_| Reply::refusal(400, "ExpiredToken", "over")).await;
        let provider = open(&peer.url, "eu-west-1");
        let answer = provider
            .observe(InfrastructureId::new("ours"), ObserveScope::All)
            .await;
        let error = answer.unwrap_err();
        assert_eq!(error.class, ErrorClass::Auth);
        assert!(error.message.contains("the session is over"), "{error}");
        assert_eq!(peer.log().len(), 1);
    });
}
