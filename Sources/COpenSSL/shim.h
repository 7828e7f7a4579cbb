// OpenSSL 3: TLS over memory BIOs. Imported by Reactor only.
#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// Function-like macros, which Swift cannot call, under the same name with the module's prefix.
static inline unsigned long copenssl_compiled_version(void) { return OPENSSL_VERSION_NUMBER; }
static inline int copenssl_set_min_version(SSL_CTX *c, int version) { return SSL_CTX_set_min_proto_version(c, version); }
static inline void copenssl_set_modes(SSL_CTX *c) {
    SSL_CTX_set_mode(c, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
}
static inline void copenssl_set_options(SSL_CTX *c) {
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
}
static inline int copenssl_set_server_name(SSL *s, const char *name) { return (int)SSL_set_tlsext_host_name(s, name); }
static inline void copenssl_empty_means_retry(BIO *b) { BIO_set_mem_eof_return(b, -1); }
static inline void copenssl_require_peer_certificate(SSL_CTX *c) {
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}
static inline void copenssl_verify_server(SSL_CTX *c) { SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL); }
