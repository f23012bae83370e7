//! Services that people put onto instances, and how they are recognised.

use crate::machine::{Machine, Step, started_unit};
use crate::shell::{Command, base_name};

/// What is known of a service.
#[derive(Debug)]
pub struct Service {
    /// The name for people.
    pub name: &'static str,
    /// Units, programs and container images that are it; packages that start with one of these.
    names: &'static [&'static str],
    /// Packages that start it when they are installed.
    packages: &'static [&'static str],
    /// Texts of a command line that start it.
    lines: &'static [&'static str],
    /// The ports that it opens.
    pub ports: &'static [u16],
    /// Words of commands that empty a member before it leaves; none for
    /// services that keep nothing.
    pub drains: Option<&'static [&'static str]>,
    /// Whether a whole cluster stands still while it restarts.
    pub is_central: bool,
}

const PLAIN: Service = Service {
    name: "",
    names: &[],
    packages: &[],
    lines: &[],
    ports: &[],
    drains: None,
    is_central: false,
};

/// All services that are known.
static SERVICES: &[Service] = &[
    Service {
        name: "HDFS data node",
        lines: &["start datanode", "hdfs datanode", "start-dfs.sh"],
        ports: &[9864, 50075],
        drains: Some(&["refreshnodes", "decommission"]),
        ..PLAIN
    },
    Service {
        name: "HDFS name node",
        lines: &["start namenode", "hdfs namenode", "start-dfs.sh"],
        ports: &[9870, 50070, 8020],
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "YARN resource manager",
        lines: &[
            "start resourcemanager",
            "yarn resourcemanager",
            "start-yarn.sh",
            "start-all.sh",
        ],
        ports: &[8088],
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "MySQL",
        names: &[
            "mysql",
            "mysqld",
            "mysqld_safe",
            "mariadb",
            "mariadbd",
            "percona",
        ],
        packages: &[
            "mysql-server",
            "mariadb-server",
            "percona-server",
            "default-mysql-server",
        ],
        ports: &[3306],
        drains: Some(&[
            "wsrep_desync",
            "stop slave",
            "stop replica",
            "mysqldump",
            "xtrabackup",
            "mariabackup",
        ]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "PostgreSQL",
        names: &["postgresql", "postgres"],
        packages: &["postgresql"],
        ports: &[5432],
        drains: Some(&["pg_basebackup", "pg_dump", "pg_ctl promote", "patronictl"]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "MongoDB",
        names: &["mongod", "mongodb", "mongo"],
        packages: &["mongodb"],
        lines: &[],
        ports: &[27017],
        drains: Some(&["rs.remove", "removeshard", "rs.stepdown"]),
        is_central: true,
    },
    Service {
        name: "Redis",
        names: &["redis", "redis-server"],
        packages: &["redis"],
        ports: &[6379],
        drains: Some(&["cluster forget", "del-node", "reshard", "cluster failover"]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "Cassandra",
        names: &["cassandra"],
        packages: &["cassandra"],
        ports: &[9042],
        drains: Some(&[
            "nodetool decommission",
            "nodetool removenode",
            "nodetool drain",
        ]),
        ..PLAIN
    },
    Service {
        name: "Elasticsearch",
        names: &["elasticsearch", "opensearch"],
        packages: &["elasticsearch", "opensearch"],
        ports: &[9200],
        drains: Some(&["allocation.exclude", "_shutdown"]),
        ..PLAIN
    },
    Service {
        name: "Kafka",
        names: &[
            "kafka",
            "kafka-server-start.sh",
            "kafka-server-start",
            "cp-kafka",
        ],
        ports: &[9092],
        drains: Some(&["kafka-reassign-partitions", "controlled.shutdown"]),
        ..PLAIN
    },
    Service {
        name: "ZooKeeper",
        names: &["zookeeper", "zookeeper-server-start.sh"],
        packages: &["zookeeper"],
        lines: &["zkServer.sh start"],
        ports: &[2181],
        drains: Some(&["reconfig"]),
        is_central: true,
    },
    Service {
        name: "RabbitMQ",
        names: &["rabbitmq-server", "rabbitmq"],
        packages: &["rabbitmq-server"],
        ports: &[5672, 15672],
        drains: Some(&["forget_cluster_node", "rabbitmq-upgrade drain", "stop_app"]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "etcd",
        names: &["etcd"],
        packages: &["etcd"],
        ports: &[2379],
        drains: Some(&["member remove"]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "GlusterFS",
        names: &["glusterd"],
        packages: &["glusterfs-server"],
        ports: &[24007],
        drains: Some(&["remove-brick"]),
        ..PLAIN
    },
    Service {
        name: "MinIO",
        names: &["minio"],
        ports: &[9000],
        drains: Some(&["decommission"]),
        ..PLAIN
    },
    Service {
        name: "NFS server",
        names: &["nfs-kernel-server", "nfs-server"],
        packages: &["nfs-kernel-server"],
        ports: &[2049],
        drains: Some(&["exportfs -u", "rsync"]),
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "InfluxDB",
        names: &["influxdb", "influxd"],
        packages: &["influxdb"],
        ports: &[8086],
        drains: Some(&["influxd backup", "influx backup"]),
        ..PLAIN
    },
    Service {
        name: "Docker",
        names: &["docker", "dockerd"],
        packages: &["docker-ce", "docker.io"],
        ports: &[2375, 2376],
        ..PLAIN
    },
    Service {
        name: "Kubernetes",
        names: &["kubelet"],
        lines: &["kubeadm init", "kubeadm join"],
        ports: &[10250, 6443],
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "Spark master",
        lines: &["start-master.sh", "deploy.master.Master"],
        ports: &[7077, 8080],
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "Spark worker",
        lines: &["start-slave.sh", "start-worker.sh", "deploy.worker.Worker"],
        ports: &[8081],
        ..PLAIN
    },
    Service {
        name: "Jupyter",
        lines: &[
            "jupyter notebook --",
            "jupyter lab",
            "jupyter-lab",
            "jupyter-notebook",
            "jupyterhub",
        ],
        ports: &[8888, 8000],
        ..PLAIN
    },
    Service {
        name: "Slurm controller",
        names: &["slurmctld"],
        ports: &[6817],
        is_central: true,
        ..PLAIN
    },
    Service {
        name: "nginx",
        names: &["nginx"],
        packages: &["nginx"],
        ports: &[80, 443],
        ..PLAIN
    },
    Service {
        name: "Apache",
        names: &["apache2", "httpd", "apache2ctl"],
        packages: &["apache2", "httpd"],
        ports: &[80, 443],
        ..PLAIN
    },
    Service {
        name: "HAProxy",
        names: &["haproxy"],
        packages: &["haproxy"],
        ports: &[80, 443],
        ..PLAIN
    },
    Service {
        name: "Tomcat",
        names: &["tomcat", "tomcat7", "tomcat8", "tomcat9", "tomcat10"],
        packages: &["tomcat7", "tomcat8", "tomcat9", "tomcat10"],
        ports: &[8080],
        ..PLAIN
    },
    Service {
        name: "Consul",
        names: &["consul"],
        lines: &["consul agent"],
        ports: &[8500],
        ..PLAIN
    },
    Service {
        name: "Prometheus",
        names: &["prometheus"],
        packages: &["prometheus"],
        ports: &[9090],
        ..PLAIN
    },
    Service {
        name: "Grafana",
        names: &["grafana-server", "grafana"],
        packages: &[],
        ports: &[3000],
        ..PLAIN
    },
    Service {
        name: "Nomad",
        names: &["nomad"],
        lines: &["nomad agent"],
        ports: &[4646],
        ..PLAIN
    },
    Service {
        name: "Dask scheduler",
        names: &["dask-scheduler"],
        lines: &["dask scheduler"],
        ports: &[8786, 8787],
        ..PLAIN
    },
    Service {
        name: "RStudio Server",
        names: &["rstudio-server"],
        packages: &["rstudio-server"],
        lines: &["rstudio-server start"],
        ports: &[8787],
        ..PLAIN
    },
    Service {
        name: "the SSH server",
        names: &["ssh", "sshd"],
        ports: &[22],
        ..PLAIN
    },
];

/// Verbs of package managers that install.
const INSTALLERS: &[&str] = &["apt-get", "apt", "aptitude", "yum", "dnf", "zypper", "apk"];

/// Returns the services that have a port.
pub fn with_port(port: u16) -> impl Iterator<Item = &'static Service> {
    SERVICES
        .iter()
        .filter(move |service| service.ports.contains(&port))
}

/// Returns the packages that a command installs.
pub fn installed_by(command: &Command) -> impl Iterator<Item = &crate::shell::Word> {
    let is_install = INSTALLERS.contains(&command.program())
        && command
            .arguments()
            .iter()
            .any(|word| matches!(word.text.as_str(), "install" | "add" | "in"));
    command
        .operands()
        .filter(move |word| is_install && !matches!(word.text.as_str(), "install" | "add" | "in"))
}

impl Service {
    /// Says whether a package is the service's: its name, perhaps with a version.
    pub fn is_package(&self, package: &str) -> bool {
        let name = package.split(['=', ':']).next().unwrap_or(package);
        self.packages.iter().any(|known| {
            name.strip_prefix(known).is_some_and(|rest| {
                rest.is_empty()
                    || rest.starts_with(['-', '.'])
                        && !rest.contains("client")
                        && !rest.contains("common")
            })
        })
    }

    /// Says whether a container image is the service's.
    pub fn is_image(&self, image: &str) -> bool {
        let name = base_name(image).split([':', '@']).next().unwrap_or("");
        self.names.contains(&name)
    }

    /// Says whether a command starts the service.
    pub fn is_started_by(&self, command: &Command) -> bool {
        if let Some(unit) = started_unit(command) {
            let unit = unit.split('@').next().unwrap_or(unit);
            return self.names.contains(&unit);
        }
        if installed_by(command).any(|word| self.is_package(&word.text)) {
            return true;
        }
        let program = command.program();
        let is_program = self.names.contains(&program) && !is_client(command);
        let is_container = matches!(program, "docker" | "podman" | "nerdctl")
            && command
                .arguments()
                .iter()
                .any(|word| matches!(word.text.as_str(), "run" | "create"))
            && command.operands().any(|word| self.is_image(&word.text));
        is_program || is_container || {
            let line = command.line();
            !matches!(program, "echo" | "printf" | "grep" | "cat")
                && self.lines.iter().any(|known| line.contains(known))
        }
    }

    /// Returns the step that starts the service; the last one, as services are
    /// often configured and started again.
    pub fn started_in(&self, machine: &Machine<'_>) -> Option<Step> {
        machine
            .steps
            .iter()
            .rev()
            .copied()
            .find(|step| self.is_started_by(machine.command(*step)))
    }

    /// Says whether anything on the machine starts the service.
    pub fn is_started_on(&self, machine: &Machine<'_>) -> bool {
        machine
            .packages
            .iter()
            .any(|package| self.is_package(package))
            || machine
                .commands()
                .any(|(_, command)| self.is_started_by(command))
    }
}

/// Returns the services that keep data and are started on a machine.
pub fn stateful_on<'m>(machine: &'m Machine<'_>) -> impl Iterator<Item = &'static Service> + 'm {
    SERVICES
        .iter()
        .filter(|service| service.drains.is_some() && service.is_started_on(machine))
}

/// Returns the central services.
pub fn central() -> impl Iterator<Item = &'static Service> {
    SERVICES.iter().filter(|service| service.is_central)
}

impl Service {
    /// Says whether a unit is the service's.
    pub fn is_unit(&self, unit: &str) -> bool {
        self.names.contains(&unit.split('@').next().unwrap_or(unit))
            || self.lines.iter().any(|line| {
                line.rsplit(' ').next() == unit.rsplit('-').next() && unit.contains('-')
            })
    }
}

/// Says whether a command starts a service that is known.
pub fn is_start_of_any(command: &Command) -> bool {
    SERVICES
        .iter()
        .any(|service| service.is_started_by(command))
}

/// Says whether a package brings a service that starts with it.
pub fn is_service_package(package: &str) -> bool {
    SERVICES.iter().any(|service| service.is_package(package))
}

/// Says whether a program of that name is called to ask something of a
/// service that runs already.
fn is_client(command: &Command) -> bool {
    match command.program() {
        "mysql" | "mongo" | "docker" | "prometheus" | "haproxy" | "nginx" => {
            !command
                .arguments()
                .iter()
                .any(|word| word.text.contains("-config") || word.text == "-f")
                || matches!(command.program(), "mysql" | "mongo" | "docker")
        }
        "consul" | "nomad" => !command.has_argument("agent"),
        "minio" => !command.has_argument("server"),
        _ => command.has_argument("--version") || command.has_argument("-v"),
    }
}

/// Returns the service of a package.
pub fn of_package(package: &str) -> Option<&'static Service> {
    SERVICES.iter().find(|service| service.is_package(package))
}

/// Says whether YARN's resource manager is started on a machine.
pub fn starts_yarn(machine: &Machine<'_>) -> bool {
    SERVICES
        .iter()
        .any(|service| service.ports == [8088] && service.is_started_on(machine))
}
