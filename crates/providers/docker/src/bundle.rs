//! Our agent at an engine: a volume with this very program and what it needs to
//! run, so that it runs in every image.
//!
//! The program's own loader and libraries come with it. They are in a volume
//! that is named after their contents, so that they are put there once for an
//! engine and version, also where the engine is on another machine. The last
//! thing that is put there is a link to the folder: whoever finds the link
//! finds everything.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions};
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder,
    UploadToContainerOptionsBuilder,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{Mutex, OnceCell};
use xxhash_rust::xxh3::Xxh3;
use zenekar_base::{ErrorClass, InfrastructureId, ProviderError};

use crate::error::{failed, invalid, is_not_found};
use crate::inside::{self, Task};
use crate::labels;
use crate::remove::remove_container;

/// Where the volume is mounted in instances.
const MOUNTED_AT: &str = "/.zenekar";
/// The link that is put there last.
const READY: &str = "current";
/// The program within the folder.
const PROGRAM: &str = "zenekar";

/// The bytes of the program and its libraries together: ten times what they have.
const BYTES_MAX: u64 = 2 << 30;

/// How long putting the program into a volume may take over a slow line.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(170);

/// Distinguishes uploads of one process.
static UPLOADS: AtomicU32 = AtomicU32::new(0);

/// The agent, as containers start it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// What the volume holds.
    pub(crate) fingerprint: String,
    /// The command that starts it.
    pub(crate) command: Vec<String>,
}

impl Entry {
    /// Returns the volume as instances have it. It comes to be with the first of them.
    pub(crate) fn mount(&self) -> Mount {
        Mount {
            read_only: Some(true),
            ..self.writable_mount()
        }
    }

    fn writable_mount(&self) -> Mount {
        let agent = HashMap::from([(labels::AGENT.to_owned(), self.fingerprint.clone())]);
        Mount {
            target: Some(MOUNTED_AT.to_owned()),
            source: Some(labels::name_of(&format!("agent-{}", self.fingerprint))),
            typ: Some(MountType::VOLUME),
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(true),
                labels: Some(agent),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        }
    }
}

/// The files that the agent consists of, by their names in the volume.
#[derive(Clone, Debug)]
struct Files {
    paths: BTreeMap<String, PathBuf>,
    loader: Option<String>,
    fingerprint: String,
}

/// Our agent, as it is put at an engine.
#[derive(Debug)]
pub(crate) struct Agent {
    executable: PathBuf,
    /// Whether the engine is on another machine.
    is_remote: bool,
    files: OnceCell<Files>,
    /// Uploads of one process take turns.
    turn: Mutex<()>,
}

impl Agent {
    pub(crate) fn new(executable: PathBuf, is_remote: bool) -> Self {
        Self {
            executable,
            is_remote,
            files: OnceCell::new(),
            turn: Mutex::new(()),
        }
    }

    /// Returns the program.
    pub(crate) fn executable(&self) -> &Path {
        &self.executable
    }

    /// Says how the agent is started at an engine.
    pub(crate) async fn entry(&self, docker: &Docker) -> Result<Entry, ProviderError> {
        let files = self.files(docker).await?;
        let folder = format!("{MOUNTED_AT}/{READY}");
        let mut command = Vec::new();
        if let Some(loader) = &files.loader {
            command.push(format!("{folder}/{loader}"));
            command.extend(["--library-path".to_owned(), folder.clone()]);
        }
        command.push(format!("{folder}/{PROGRAM}"));
        command.extend([inside::WORD.to_owned(), "init".to_owned()]);
        Ok(Entry {
            fingerprint: files.fingerprint.clone(),
            command,
        })
    }

    async fn files(&self, docker: &Docker) -> Result<&Files, ProviderError> {
        self.files
            .get_or_try_init(|| async {
                check_architecture(docker).await?;
                let executable = self.executable.clone();
                blocking(move || collect(&executable)).await
            })
            .await
    }

    /// Puts the agent into its volume if it is not there, by means of a
    /// container that has the volume.
    pub(crate) async fn ensure(
        &self,
        docker: &Docker,
        infrastructure: &InfrastructureId,
        container: &str,
        image: &str,
    ) -> Result<(), ProviderError> {
        let _turn = self.turn.lock().await;
        if is_ready(docker, container).await? {
            return Ok(());
        }
        let files = self.files(docker).await?.clone();
        let entry = self.entry(docker).await?;
        let is_remote = self.is_remote;
        let archive = blocking(move || pack(&files, is_remote)).await?;
        upload(docker, infrastructure, &entry, image, archive).await
    }
}

/// Says whether everything is in the volume of a container.
async fn is_ready(docker: &Docker, container: &str) -> Result<bool, ProviderError> {
    let options = ContainerArchiveInfoOptionsBuilder::default()
        .path(&format!("{MOUNTED_AT}/{READY}"))
        .build();
    match docker
        .get_container_archive_info(container, Some(options))
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(failed("look for the agent at the engine")(error)),
    }
}

/// A container that never runs gives access to the volume: those that run may
/// only read it.
async fn upload(
    docker: &Docker,
    infrastructure: &InfrastructureId,
    entry: &Entry,
    image: &str,
    archive: Vec<u8>,
) -> Result<(), ProviderError> {
    let mut labels = labels::of_infrastructure(infrastructure);
    labels.insert(labels::ROLE.to_owned(), labels::ROLE_UPLOAD.to_owned());
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(entry.command.clone()),
        labels: Some(labels),
        host_config: Some(HostConfig {
            network_mode: Some("none".to_owned()),
            mounts: Some(vec![entry.writable_mount()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let name = labels::name_of(&format!("upload-{}", unique()));
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    docker
        .create_container(Some(options), body)
        .await
        .map_err(failed("create a container to put the agent at the engine"))?;
    let options = UploadToContainerOptionsBuilder::default()
        .path(MOUNTED_AT)
        .build();
    let uploaded = docker
        .clone()
        .with_timeout(UPLOAD_PATIENCE)
        .upload_to_container(&name, Some(options), bollard::body_full(archive.into()))
        .await
        .map_err(failed("put the agent at the engine"));
    // If it stays, it goes with the infrastructure.
    let _ = remove_container(docker, &name).await;
    uploaded
}

/// Makes a name that no other upload has, of whichever process.
fn unique() -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_nanos());
    let number = UPLOADS.fetch_add(1, Ordering::Relaxed);
    format!("{now:x}-{}-{number}", std::process::id())
}

async fn check_architecture(docker: &Docker) -> Result<(), ProviderError> {
    let version = docker
        .version()
        .await
        .map_err(failed("ask for the engine's version"))?;
    let (Some(arch), Some(os)) = (version.arch, version.os) else {
        return Ok(());
    };
    // Engines name architectures as Go does.
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    if arch == own && os == "linux" {
        return Ok(());
    }
    Err(invalid(format!(
        "user-data is carried out by this program, which is for `linux/{own}`; the engine is `{os}/{arch}`"
    )))
}

/// Runs what reads files on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ProviderError> {
    let failure = |reason: String| {
        ProviderError::new(
            ErrorClass::Invalid,
            format!("cannot read this program to put it at the engine: {reason}"),
        )
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|error| failure(error.to_string())),
        Err(error) => Err(failure(error.to_string())),
    }
}

/// Finds the program's loader and libraries, and tells them apart by their contents.
fn collect(executable: &Path) -> io::Result<Files> {
    let mut files = libraries(executable)?;
    let loader = files.keys().find(|name| name.starts_with("ld-")).cloned();
    files.insert(PROGRAM.to_owned(), executable.to_owned());
    let mut hasher = Xxh3::new();
    let mut total = 0;
    for (name, path) in &files {
        hasher.update(name.as_bytes());
        let mut file = fs::File::open(path)?.take(BYTES_MAX - total + 1);
        let mut buffer = vec![0; 1 << 20];
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            total += count as u64;
            hasher.update(&buffer[..count]);
        }
        if total > BYTES_MAX {
            return Err(io::Error::other(format!(
                "it has more than {BYTES_MAX} bytes"
            )));
        }
    }
    Ok(Files {
        paths: files,
        loader,
        fingerprint: format!("{:032x}", hasher.digest128()),
    })
}

/// Asks the program's loader what it loads. Where there is no loader, the
/// program itself runs and does nothing.
fn libraries(executable: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let output = Command::new(executable)
        .args([inside::WORD, "nothing"])
        .env("LD_TRACE_LOADED_OBJECTS", "1")
        .stdin(Stdio::null())
        .output()?;
    Ok(read_trace(&String::from_utf8_lossy(&output.stdout)))
}

fn read_trace(text: &str) -> BTreeMap<String, PathBuf> {
    let mut files = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim().split(" (0x").next().unwrap_or_default();
        let path = line.rsplit("=> ").next().unwrap_or_default().trim();
        let name = line.split(" =>").next().unwrap_or_default().trim();
        let name = name.rsplit('/').next().unwrap_or_default();
        if path.starts_with('/') && !name.is_empty() {
            files.insert(name.to_owned(), PathBuf::from(path));
        }
    }
    files
}

/// Makes the archive, compressed if it has to go far.
fn pack(files: &Files, is_remote: bool) -> io::Result<Vec<u8>> {
    if is_remote {
        let compressed = GzEncoder::new(Vec::new(), Compression::fast());
        write_archive(files, compressed)?.finish()
    } else {
        write_archive(files, Vec::new())
    }
}

/// Writes a folder of everything, and the link to it at the end.
fn write_archive<W: Write>(files: &Files, into: W) -> io::Result<W> {
    let folder = unique();
    let mut archive = tar::Builder::new(into);
    for (name, path) in &files.paths {
        let mut file = fs::File::open(path)?;
        let mut header = header(0o755);
        header.set_size(file.metadata()?.len());
        archive.append_data(&mut header, format!("{folder}/{name}"), &mut file)?;
    }
    let mut link = header(0o777);
    link.set_entry_type(tar::EntryType::Symlink);
    archive.append_link(&mut link, READY, &folder)?;
    archive.into_inner()
}

fn header(mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    header
}

/// Puts a task into a container, for the agent to find.
pub(crate) async fn put_task(docker: &Docker, id: &str, task: &Task) -> Result<(), ProviderError> {
    let archive = pack_task(task)
        .map_err(|error| invalid(format!("cannot pack what the instance is told: {error}")))?;
    let options = UploadToContainerOptionsBuilder::default().path("/").build();
    docker
        .upload_to_container(id, Some(options), bollard::body_full(archive.into()))
        .await
        .map_err(failed("put user-data into the container"))
}

fn pack_task(task: &Task) -> io::Result<Vec<u8>> {
    let text = serde_json::to_vec(task)?;
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = header(0o600);
    header.set_size(text.len() as u64);
    // No folders: those that are there keep their modes, others are made.
    archive.append_data(
        &mut header,
        inside::TASK.trim_start_matches('/'),
        text.as_slice(),
    )?;
    let mut bytes = archive.into_inner()?;
    bytes.flush()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_loader_says_is_read() {
        let trace = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                     \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                     \tlibodd.so => not found\n\
                     \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let found = read_trace(trace);
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["ld-linux-x86-64.so.2", "libc.so.6"]);
    }

    #[test]
    fn the_link_is_the_last_thing_in_the_archive() {
        let own = std::env::current_exe().unwrap();
        let files = collect(&own).unwrap();
        assert!(files.loader.is_some(), "{files:?}");
        let archive = pack(&files, true).unwrap();
        let mut reader = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let names: Vec<_> = reader
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().into_owned())
            .collect();
        assert_eq!(names.last().unwrap(), Path::new(READY));
        assert_eq!(names.len(), files.paths.len() + 1);
    }
}
