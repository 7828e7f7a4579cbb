// OpenSSL 3: TLS over memory BIOs. Imported by Reactor only.
#pragma once
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
