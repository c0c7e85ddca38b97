"""SIP and what rides on it: bytes in, bytes out.

Pure functions and state machines; import the module that carries the chapter you need:

`message` whole messages, tolerant when reading and strict when writing, of `header_fields`, `headers` and `uri` ·
`framing` messages in a stream · `matching`, `transactions`, `reliable`, `subscription` who may answer what, and when ·
`digest` passwords · `reginfo` who is registered · `push_parameters` where a phone can be woken ·
`sdp`, `g711`, `rtp` what a caller hears.

Every message that cannot be read is a `SipMalformed` (module `errors`).
"""
