//! Command lines, and what they call.

use zenekar_lint::shell;

use super::*;

const HOST: &str = "198.18.0.2";

/// Returns port, whether it retries, whether it is a test, and the path.
fn check(line: &str) -> Option<(u16, bool, bool, Option<String>)> {
    let line = line.replace("HOST", HOST);
    let script = shell::read(&line, 0..line.len());
    let command = script.commands.first().expect("a command");
    let words: Vec<String> = command
        .arguments()
        .iter()
        .map(|word| word.text.clone())
        .collect();
    let call = of(command, &words, &Knowledge::default())?;
    assert_eq!(call.host.node, 1, "{line}");
    Some((call.port, call.retries, call.is_test, call.path))
}

fn port_of(line: &str) -> Option<u16> {
    check(line).map(|call| call.0)
}

#[test]
fn clients_connect_to_the_port_that_they_name() {
    for (line, port) in [
        ("curl -s http://HOST/", 80),
        ("curl -fsSL https://user:word@HOST/x -o /tmp/x", 443),
        ("curl HOST:8080/health", 8080),
        ("wget -qO - http://HOST:8000/token", 8000),
        ("nc HOST 25", 25),
        ("telnet HOST 25", 25),
        ("mysql -u root -hHOST -P 3307 shop", 3307),
        ("mysql --host=HOST shop", 3306),
        ("mysqladmin -h HOST create shop", 3306),
        ("psql postgres://shop@HOST/shop -c 'select 1'", 5432),
        ("psql -h HOST -p 5433", 5433),
        ("redis-cli -h HOST set a b", 6379),
        ("mongosh HOST:27018/admin", 27018),
        ("etcdctl --endpoints http://HOST:2379 put a b", 2379),
        ("kubectl --server=https://HOST:6443 apply -f x", 6443),
        ("docker swarm join --token $T HOST:2377", 2377),
        ("docker swarm join --token $T HOST", 2377),
        ("docker pull HOST:5000/image", 5000),
        ("docker run -d --name a -p 80:80 HOST:5000/image:1", 5000),
        ("gluster peer probe HOST", 24007),
        ("rabbitmqctl join_cluster rabbit@HOST", 5672),
        ("git clone http://HOST/repository.git", 80),
        ("sudo timeout 5 curl http://HOST:81", 81),
    ] {
        assert_eq!(port_of(line), Some(port), "{line}");
    }
}

#[test]
fn what_does_not_surely_connect_is_no_call() {
    for line in [
        "echo http://HOST:80",
        "curl -d HOST http://example.org",
        "curl http://example.org/?peer=HOST",
        "spark-submit --master spark://HOST:7077 x.py",
        "start-worker.sh spark://HOST:7077",
        "docker run -e MASTER=HOST:80 image",
        "docker run image http://HOST:80/",
        "docker run image HOST:80",
        "consul agent -retry-join HOST",
        "ssh HOST ls",
        "ping -c 1 HOST",
        "mysql -u root -e 'grant all to x@HOST'",
        "curl http://HOST.example.org/",
    ] {
        assert_eq!(check(line), None, "{line}");
    }
}

#[test]
fn some_programs_try_again_by_themselves() {
    for line in [
        "curl --retry 5 http://HOST/",
        "curl --retry-connrefused --retry 9 http://HOST/",
        "wget --retry-connrefused http://HOST/",
        "wget --tries=9 http://HOST/",
        "kubeadm join HOST:6443 --token x",
        "mount -t nfs HOST:/srv /mnt",
        "wait-for-it.sh HOST:3306 -t 60",
        "dockerize -wait tcp://HOST:3306",
        "mysqladmin --wait=30 -h HOST ping",
    ] {
        assert!(check(line).expect("a call").1, "{line}");
    }
    assert!(!check("curl http://HOST/").expect("a call").1);
}

#[test]
fn tests_are_told_from_use() {
    for line in [
        "nc -z HOST 80",
        "pg_isready -h HOST",
        "mysqladmin ping -h HOST",
        "redis-cli -h HOST PING",
        "echo > /dev/tcp/HOST/80",
    ] {
        assert!(check(line).expect("a call").2, "{line}");
    }
    assert!(!check("psql -h HOST").expect("a call").2);
}

#[test]
fn clients_say_which_database_they_want() {
    for (line, database) in [
        ("mysql -u shop -hHOST -psecret shop", Some("shop")),
        ("mysql -u shop -p -h HOST shop < x", Some("shop")),
        ("mysql -h HOST -D shop", Some("shop")),
        ("mysql -h HOST -e 'create database shop'", None),
        ("mysqldump -h HOST shop", Some("shop")),
        ("psql -h HOST -U me -d shop", Some("shop")),
        ("psql postgres://me@HOST/shop", Some("shop")),
        ("psql -h HOST -p 5433 shop", Some("shop")),
        ("psql -h HOST -c 'select 1' postgres", None),
        ("mysqladmin -h HOST create shop", None),
        ("redis-cli -h HOST get shop", None),
    ] {
        let line = line.replace("HOST", HOST);
        let script = shell::read(&line, 0..line.len());
        let command = script.commands.first().expect("a command");
        let words: Vec<String> = command
            .arguments()
            .iter()
            .map(|word| word.text.clone())
            .collect();
        let call = of(command, &words, &Knowledge::default()).expect("a call");
        let expected = database.map(|name| format!("database {name}"));
        assert_eq!(call.object, expected, "{line}");
    }
}

#[test]
fn paths_of_urls_are_kept() {
    let path = check("curl http://HOST:8000/a/token?x=1")
        .expect("a call")
        .3;
    assert_eq!(path.as_deref(), Some("/a/token"));
    assert_eq!(check("curl http://HOST:8000/").expect("a call").3, None);
}
