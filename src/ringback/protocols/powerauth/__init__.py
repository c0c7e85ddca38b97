"""PowerAuth protocol 3.0, 3.1, 3.2 and 3.3: what a phone with the PowerAuth mobile SDK speaks.

Pure functions over bytes; import the module that carries the chapter you need:

`versions` what differs between 3.0 and 3.3 · `primitives`, `keys`, `derived_keys` key material ·
`activation_code`, `fingerprint`, `sdk_configuration` enrolment · `headers` the three HTTP headers ·
`signature`, `token` what a phone proves · `status_blob`, `vault` what it is told ·
`ecies` with `ecies_server` and `ecies_client`, `temporary_key` with `temporary_key_server` and `temporary_key_client`
encryption. Server and client halves never import each other, so that one mistake cannot hide in both.

Every refusal is a `PowerAuthProtocolError` (module `errors`).
"""
