//! Whatever user-data is, reading it ends.

use std::io::Write as _;

use proptest::prelude::*;
use zenekar_agent::read_user_data;

/// Pieces of which user-data is made.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "#cloud-config\n",
        "#cloud-config-archive\n",
        "#!/bin/sh\n",
        "MIME-Version: 1.0\n",
        "Content-Type: multipart/mixed; boundary=b\n",
        "Content-Type: application/x-gzip\n",
        "Content-Transfer-Encoding: base64\n",
        "Content-Disposition: attachment; filename*=utf-8''a%20b\n",
        "\n",
        "--b\n",
        "--b--\n",
        "- content: |\n    #!/bin/sh\n",
        "- {type: text/cloud-config-archive, content: '- a'}\n",
        "IyEvYmluL3NoCg==\n",
        "&a [*a]\n",
    ])
    .prop_map(|text| text.as_bytes().to_vec());
    prop_oneof![4 => known, 1 => prop::collection::vec(any::<u8>(), 0..40)]
}

fn user_data() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(piece(), 0..30), 0..4u8).prop_map(|(pieces, form)| {
        let plain = pieces.concat();
        match form {
            0 => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(&plain).unwrap();
                encoder.finish().unwrap()
            }
            _ => plain,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn user_data_of_any_bytes_is_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        read_user_data(&bytes);
    }

    #[test]
    fn user_data_of_known_pieces_is_read(bytes in user_data()) {
        let found = read_user_data(&bytes);
        prop_assert!(found.parts.iter().all(|part| !part.name.is_empty()));
    }
}
