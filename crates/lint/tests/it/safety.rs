//! Rules about strangers: what each finds, and what looks alike and is left alone.

use zenekar_diagnostics::Severity;

use crate::case::Case;

#[test]
fn control_ports_without_authentication() {
    for (line, severity) in [
        ("dockerd -H tcp://0.0.0.0:2375", Severity::Error),
        ("redis-server --bind 0.0.0.0", Severity::Error),
        ("mongod --bind_ip_all --fork", Severity::Error),
        (
            "etcd --listen-client-urls http://0.0.0.0:2379",
            Severity::Error,
        ),
        ("jupyter lab --ServerApp.token=''", Severity::Error),
        ("kubectl proxy --address=0.0.0.0", Severity::Error),
        ("kubelet --read-only-port=10255", Severity::Warning),
    ] {
        let places = Case::script(line).findings().places("ZK0705");
        assert_eq!(places.len(), 1, "{line}");
        assert_eq!((places[0].0, places[0].2.as_str()), (severity, line));
    }
    Case::script("docker run -d -p 6379:6379 redis:7")
        .finds("ZK0705", &["docker run -d -p 6379:6379 redis:7"]);
    Case::script("jupyter lab --NotebookApp.token= --no-browser")
        .finds("ZK0705", &["jupyter lab --NotebookApp.token= --no-browser"]);
    Case::script("docker run -d -p 127.0.0.1:6379:6379 redis:7\ndocker run -p 80:80 nginx:1")
        .is_free_of("ZK0705");
    Case::script("consul agent -client=0.0.0.0").finds("ZK0705", &["-client=0.0.0.0"]);
    for line in [
        "dockerd --tlsverify -H tcp://0.0.0.0:2376",
        "dockerd -H tcp://127.0.0.1:2375",
        "# dockerd -H tcp://0.0.0.0:2375",
        "docker -H tcp://{{getip('app')}}:2375 ps",
        "redis-server --bind 0.0.0.0 --requirepass $PASSWORD",
        "mongod --bind_ip_all --auth",
        "jupyter lab --ip=0.0.0.0",
        "consul agent -client 127.0.0.1",
        "docker -H tcp://{{getip('app')}}:2376 ps",
    ] {
        Case::script(line).is_free_of("ZK0705");
    }
}

#[test]
fn keys_in_the_descriptor() {
    let key = "-----BEGIN RSA PRIVATE KEY-----";
    let case = Case::new("#cloud-config\nruncmd: [true]\n")
        .variables(&format!("  deploy_key: |\n    {key}\n    MIIEowIB\n"));
    case.finds("ZK0706", &[key]);
    assert_eq!(case.findings().places("ZK0706")[0].0, Severity::Error);
    Case::new(&format!(
        "#cloud-config\nwrite_files:\n- path: /k\n  content: |\n    {key}\n    x\n"
    ))
    .finds("ZK0706", &[key]);
    for harmless in [
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "ssh-rsa AAAAB3NzaC1yc2E",
        "grep 'PRIVATE KEY'",
    ] {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /k\n  content: |\n    {harmless}\n"
        ))
        .is_free_of("ZK0706");
    }
    Case::script("export AWS_ACCESS_KEY_ID=AKIAQWERTYUIOPASDFGH")
        .finds("ZK0706", &["AKIAQWERTYUIOPASDFGH"]);
}

#[test]
fn passwords_that_everybody_knows() {
    let plain = || Case::new("#cloud-config\nruncmd: [true]\n");
    plain()
        .variables("  db_password: root\n")
        .finds("ZK0712", &["root"]);
    plain()
        .variables("  db_user: da\n  db_password: da\n")
        .finds("ZK0712", &["da"]);
    plain()
        .variables("  admin_pwd: 1234\n")
        .finds("ZK0712", &["1234"]);
    for value in [
        "replace_with_a_password",
        "'{{ variables.x }}'",
        "''",
        "<your password>",
        "'***'",
    ] {
        plain()
            .variables(&format!("  x: y\n  db_password: {value}\n"))
            .is_free_of("ZK0712");
    }
    plain()
        .variables("  munge_key: abcdefgh\n")
        .finds("ZK0712", &["abcdefgh"]);
    plain()
        .variables("  key_name: me\n  public_key: ssh-rsa AAAA\n  token_url: https://e.org\n")
        .is_free_of("ZK0712");
    plain()
        .variables("  password_file: /etc/secret\n  passenger: mary\n  compass: north\n")
        .is_free_of("ZK0712");
    for (line, place) in [
        ("echo \"kube:kube\" | chpasswd", "\"kube:kube\""),
        ("mysql -u root -psecret -e x", "mysql -u root -psecret -e x"),
        (
            "mysqladmin -u root password 'root'",
            "mysqladmin -u root password 'root'",
        ),
        ("sshpass -p hunter2 scp a b:", "sshpass -p hunter2 scp a b:"),
        ("DB_PASSWORD=changeme", "DB_PASSWORD=changeme"),
        (
            "echo 'requirepass letmein' >> /etc/redis.conf",
            "'requirepass letmein'",
        ),
        (
            "docker run -e MYSQL_ROOT_PASSWORD=root mysql:8",
            "docker run -e MYSQL_ROOT_PASSWORD=root mysql:8",
        ),
    ] {
        Case::script(line).finds("ZK0712", &[place]);
    }
    for line in [
        "echo \"kube:$PASSWORD\" | chpasswd",
        "mysql -u root -p\"$PASSWORD\" -e x",
        "DB_PASSWORD=$(openssl rand -hex 16)",
        "mysql -p -P 3306",
        "echo 'PasswordAuthentication no' >> /etc/ssh/sshd_config",
        "echo 'password authentication is off'",
    ] {
        Case::script(line).is_free_of("ZK0712");
    }
    Case::script("kubeadm init --token abcdef.0123456789abcdef")
        .finds("ZK0712", &["kubeadm init --token abcdef.0123456789abcdef"]);
    Case::script("echo -e 'lpds\\nlpds' | passwd ubuntu").finds("ZK0712", &["'lpds\\nlpds'"]);
    Case::script("cat > /etc/x.ini <<EOF\npassword = changeme\nEOF").finds("ZK0712", &["changeme"]);
    Case::new("#cloud-config\nchpasswd:\n  list: |\n    root:toor\n    a:RANDOM\n")
        .finds("ZK0712", &["root:toor"]);
}

#[test]
fn downloads_that_can_be_changed() {
    Case::script("wget http://mirror.example.org/a.txt")
        .finds("ZK0713", &["http://mirror.example.org/a.txt"]);
    Case::script("curl -sk https://example.org/a -o b").finds("ZK0713", &["-sk"]);
    Case::script("wget --no-check-certificate https://example.org/a")
        .finds("ZK0713", &["--no-check-certificate"]);
    Case::script("su - u -c 'wget http://example.org/a'")
        .finds("ZK0713", &["http://example.org/a"]);
    for line in [
        "wget https://example.org/a",
        "curl http://localhost:8080/ready",
        "curl -s http://169.254.169.254/latest/meta-data/",
        "wget http://{{getip('app')}}:8000/token",
        "curl -X POST http://example.org/notify -d x",
        "# wget http://example.org/a",
        "echo http://example.org",
        "echo 'deb http://archive.ubuntu.com/ubuntu jammy main' > /etc/apt/sources.list.d/x.list",
    ] {
        Case::script(line).is_free_of("ZK0713");
    }
}

#[test]
fn downloads_that_are_not_fixed() {
    for (line, place) in [
        (
            "curl -fsSL https://get.example.org | sudo -E bash -",
            "curl -fsSL https://get.example.org",
        ),
        (
            "wget -qO- https://e.org/i.sh | sh",
            "wget -qO- https://e.org/i.sh",
        ),
        (
            "bash -c \"$(curl -fsSL https://e.org/i.sh)\"",
            "curl -fsSL https://e.org/i.sh",
        ),
        (
            "bash <(curl -s https://e.org/i.sh)",
            "curl -s https://e.org/i.sh",
        ),
        (
            "wget https://github.com/a/b/raw/master/c.py",
            "https://github.com/a/b/raw/master/c.py",
        ),
        (
            "wget https://e.org/tool-1.2.tar.gz",
            "https://e.org/tool-1.2.tar.gz",
        ),
        ("pip install flask", "pip install flask"),
        ("conda install -y dask", "conda install -y dask"),
        (
            "wget https://e.org/Tool3-latest-Linux.sh",
            "https://e.org/Tool3-latest-Linux.sh",
        ),
        ("docker run -d --name x -p 80:80 nginx", "nginx"),
        (
            "git clone https://github.com/a/b",
            "git clone https://github.com/a/b",
        ),
    ] {
        Case::script(line).finds("ZK0714", &[place]);
    }
    for line in [
        "curl -fsSL https://e.org/key.gpg | apt-key add -",
        "curl -s https://e.org/list | grep x",
        "wget https://e.org/tool-1.2.tar.gz\necho \"abc  tool-1.2.tar.gz\" | sha256sum --check",
        "pip install flask==2.0 -q",
        "pip install -r requirements.txt",
        "docker run -d --name x nginx:1.25",
        "git clone --branch v1.2 https://github.com/a/b",
        "git clone https://github.com/a/b\ncd b && git checkout 0123abc",
        "curl -X POST https://e.org/api/latest",
    ] {
        Case::script(line).is_free_of("ZK0714");
    }
}

#[test]
fn images_that_files_name() {
    let with = |image: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /opt/docker-compose.yml\n  content: |\n    services:\n      a:\n        image: {image}\nruncmd: [cd /opt && docker-compose up -d]\n"
        ))
    };
    with("nginx").finds("ZK0714", &["image: nginx"]);
    with("e.org:5000/x:latest").finds("ZK0714", &["image: e.org:5000/x:latest"]);
    with("nginx:1.25").is_free_of("ZK0714");
    with("'{{variables.image}}'")
        .variables("  image: nginx:1.25\n")
        .is_free_of("ZK0714");
}

#[test]
fn upgrades_at_boot() {
    Case::new("#cloud-config\npackage_upgrade: true\n").finds("ZK0718", &["package_upgrade"]);
    Case::script("apt-get update && apt-get -y dist-upgrade")
        .finds("ZK0718", &["apt-get -y dist-upgrade"]);
    Case::script("yum -y update").finds("ZK0718", &["yum -y update"]);
    Case::new("#cloud-config\npackage_upgrade: false\npackage_update: true\n").is_free_of("ZK0718");
    Case::script("apt-get update\npip install --upgrade pip==20.3\nyum -y update curl")
        .is_free_of("ZK0718");
}

#[test]
fn rights_that_nobody_needs() {
    for line in [
        "echo \"u ALL=(ALL) NOPASSWD:ALL\" >> /etc/sudoers",
        "chmod 777 /opt/x",
        "docker run --privileged x:1",
        "jupyter lab --allow-root",
    ] {
        Case::script(line).finds("ZK0719", &[line]);
    }
    for line in [
        "chmod 755 /opt/x",
        "docker run x:1",
        "echo 'u ALL=(x) /bin/y' >> /etc/sudoers",
        "docker pull x:1",
    ] {
        Case::script(line).is_free_of("ZK0719");
    }
    Case::script("/opt/server &").finds("ZK0719", &["/opt/server"]);
    Case::script("su - web -c '/opt/server &'\nsudo -u web nohup /opt/x").is_free_of("ZK0719");
    let unit = |user: &str| {
        Case::new(&format!(
            "#cloud-config\nwrite_files:\n- path: /etc/systemd/system/w.service\n  content: |\n    [Service]\n    {user}\n    ExecStart=/w\nruncmd:\n- systemctl start w\n"
        ))
    };
    unit("Restart=always").finds("ZK0719", &["/etc/systemd/system/w.service"]);
    unit("User=w").is_free_of("ZK0719");
}
