//! Operations that follow a script and remember what was asked of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use zenekar_occopus_rest::{
    Address, Answer, Arguments, Costs, InstanceReport, NodeReport, OperationError, Operations,
    Report, Scaling, Server,
};

use crate::client::Client;

/// Knows the infrastructure `a` with the node `worker`; `busy` takes its time
/// to be deleted, and `broken` cannot be.
pub(crate) struct Script {
    pub(crate) asked: Mutex<Vec<String>>,
    pub(crate) gate: tokio::sync::Semaphore,
}

impl Script {
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no test panics with it").clone()
    }

    fn note(&self, text: String) {
        self.asked
            .lock()
            .expect("no test panics with it")
            .push(text);
    }

    fn check(infrastructure: &str, node: Option<&str>) -> Result<(), OperationError> {
        if !["a", "busy", "broken"].contains(&infrastructure) {
            return Err(OperationError::UnknownInfrastructure(
                infrastructure.to_owned(),
            ));
        }
        match node {
            Some(node) if node != "worker" => Err(OperationError::UnknownNode {
                infrastructure: infrastructure.to_owned(),
                node: node.to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Operations for Script {
    fn submit(&self, description: String) -> Answer<'_, String> {
        Box::pin(async move {
            self.note(format!("submit {description}"));
            if description.contains("nodes") {
                Ok("a".to_owned())
            } else {
                Err(OperationError::Refused("nodes section".to_owned()))
            }
        })
    }

    fn list(&self) -> Answer<'_, Vec<String>> {
        Box::pin(async { Ok(vec!["a".to_owned(), "busy".to_owned()]) })
    }

    fn report<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Report> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            let instance = |address| InstanceReport {
                resource_address: address,
                state: "ready".to_owned(),
            };
            let instances = BTreeMap::from([
                (
                    "one".to_owned(),
                    instance(Address::One("10.0.0.1".to_owned())),
                ),
                (
                    "two".to_owned(),
                    instance(Address::Several(vec![
                        "x.example".to_owned(),
                        "10.0.0.2".to_owned(),
                    ])),
                ),
            ]);
            let scaling = Scaling {
                actual: 2,
                max: 5,
                min: 1,
                target: 3,
            };
            Ok(BTreeMap::from([(
                "worker".to_owned(),
                NodeReport { instances, scaling },
            )]))
        })
    }

    fn delete<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            self.note(format!("delete {infrastructure}"));
            match infrastructure {
                "busy" => {
                    let _ = self.gate.acquire().await;
                    self.note("deleted busy".to_owned());
                    Ok(())
                }
                "broken" => panic!("the script wants it"),
                _ => Ok(()),
            }
        })
    }

    fn attach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            match infrastructure {
                "busy" => Err(OperationError::AlreadyMaintained("busy".to_owned())),
                _ => Ok(()),
            }
        })
    }

    fn detach<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            match infrastructure {
                "a" => Err(OperationError::NotMaintained("a".to_owned())),
                _ => Ok(()),
            }
        })
    }

    fn scale_up<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        count: u32,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, Some(node))?;
            self.note(format!("up {node} {count}"));
            Ok(())
        })
    }

    fn scale_down<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        instance: Option<&'a str>,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, Some(node))?;
            self.note(format!("down {node} {}", instance.unwrap_or("any")));
            Ok(())
        })
    }

    fn scale_to<'a>(
        &'a self,
        infrastructure: &'a str,
        node: &'a str,
        count: u32,
    ) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, Some(node))?;
            self.note(format!("to {node} {count}"));
            Ok(())
        })
    }

    fn notify<'a>(&'a self, infrastructure: &'a str, notification: Value) -> Answer<'a, ()> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            self.note(format!("notify {notification}"));
            Ok(())
        })
    }

    fn cost<'a>(&'a self, infrastructure: &'a str) -> Answer<'a, Costs> {
        Box::pin(async move {
            Self::check(infrastructure, None)?;
            let node = BTreeMap::from([("one".to_owned(), 1.5)]);
            Ok(Costs {
                total: 1.5,
                nodes: BTreeMap::from([("worker".to_owned(), node)]),
            })
        })
    }

    fn information<'a>(&'a self, key: &'a str, arguments: Arguments) -> Answer<'a, Value> {
        Box::pin(async move {
            match key {
                "echo" => Ok(json!(arguments)),
                "fails" => Err(OperationError::Internal("it fails".to_owned())),
                "picky" => Err(OperationError::WrongArguments {
                    key: key.to_owned(),
                    message: "no".to_owned(),
                }),
                _ => Err(OperationError::UnknownKey {
                    key: key.to_owned(),
                    message: "none".to_owned(),
                }),
            }
        })
    }
}

/// Serves the script while a test talks to it, and ends in good order.
pub(crate) fn serve(test: impl FnOnce(&Client, &Arc<Script>) + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime starts");
    let script = Arc::new(Script {
        asked: Mutex::default(),
        gate: tokio::sync::Semaphore::new(0),
    });
    runtime.block_on(async {
        let server = Server::listen("127.0.0.1", 0)
            .await
            .expect("a port is free");
        let client = Client::new(server.address());
        let told = Arc::clone(&script);
        let testing = tokio::task::spawn_blocking(move || test(&client, &told));
        let (outcome, ended) = tokio::sync::oneshot::channel();
        let ended = async {
            let _ = ended.await;
        };
        let watch = async move {
            let result = testing.await;
            let _ = outcome.send(());
            result
        };
        let (result, ()) = tokio::join!(watch, server.run(script, ended));
        result.expect("the test succeeds");
    });
}
