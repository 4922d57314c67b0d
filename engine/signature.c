/* Ed25519 signatures of tree heads, by libcrypto. */
#include "engine/engine.h"

#include "engine/hex.h"

#include <inttypes.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

enum { SIGNATURE_SIZE = 64, PUBLIC_KEY_SIZE = 32, MESSAGE_MAX = 256 };

/* What is signed; the words in front keep the key from being of use for anything else. */
static size_t message_of(const struct wf_tree_head *head, char message[MESSAGE_MAX]) {
    int size = snprintf(message, MESSAGE_MAX,
                        "wf tree head 1\nstore %s\nsize %" PRIu64 "\nroot %s\ntime %" PRId64 "\n",
                        head->store, head->size, head->root, head->time_ms);
    return (size_t)size;
}

typedef EVP_PKEY *read_pem_fn(BIO *bio, EVP_PKEY **key, pem_password_cb *password, void *ctx);

/* No terminal is asked for a password: an encrypted key is simply none that can be read. */
static int no_password(char *buffer, int size, int writing, void *ctx) {
    (void)buffer;
    (void)size;
    (void)writing;
    (void)ctx;
    return -1;
}

static EVP_PKEY *read_key(const char *pem, read_pem_fn *read_pem, const char *what,
                          struct wf_error *err) {
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = bio == NULL ? NULL : read_pem(bio, NULL, no_password, NULL);
    (void)BIO_free(bio);
    if (key == NULL || EVP_PKEY_get_id(key) != EVP_PKEY_ED25519) {
        EVP_PKEY_free(key);
        (void)error_set(err, WF_USAGE, "this is no Ed25519 %s key in PEM without a password", what);
        return NULL;
    }
    return key;
}

enum wf_status wf_audit_sign(const struct wf_tree_head *head, const char *private_pem,
                             char signature[WF_SIGNATURE_HEX], char public_key[WF_HASH_HEX],
                             struct wf_error *err) {
    EVP_PKEY *key = read_key(private_pem, PEM_read_bio_PrivateKey, "private", err);
    if (key == NULL) {
        return WF_USAGE;
    }
    char message[MESSAGE_MAX];
    size_t message_size = message_of(head, message);
    uint8_t bytes[SIGNATURE_SIZE];
    uint8_t raw[PUBLIC_KEY_SIZE];
    size_t size = sizeof(bytes);
    size_t raw_size = sizeof(raw);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
              EVP_DigestSign(ctx, bytes, &size, (const uint8_t *)message, message_size) == 1 &&
              EVP_PKEY_get_raw_public_key(key, raw, &raw_size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (!ok) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot sign");
    }
    hex_encode(bytes, sizeof(bytes), signature);
    if (public_key != NULL) {
        hex_encode(raw, sizeof(raw), public_key);
    }
    return WF_OK;
}

enum wf_status wf_audit_check_signature(const struct wf_tree_head *head, const char *signature,
                                        const char *public_pem, struct wf_error *err) {
    uint8_t bytes[SIGNATURE_SIZE];
    if (!hex_decode(signature, bytes, sizeof(bytes))) {
        return error_set(err, WF_USAGE, "the signature is not %d bytes in hex", SIGNATURE_SIZE);
    }
    EVP_PKEY *key = read_key(public_pem, PEM_read_bio_PUBKEY, "public", err);
    if (key == NULL) {
        return WF_USAGE;
    }
    char message[MESSAGE_MAX];
    size_t message_size = message_of(head, message);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ready = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1;
    bool good = ready && EVP_DigestVerify(ctx, bytes, sizeof(bytes), (const uint8_t *)message,
                                          message_size) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    if (!ready) {
        return error_set(err, WF_NO_MEMORY, "libcrypto cannot check a signature");
    }
    return good ? WF_OK
                : error_set(err, WF_DAMAGE, "the signature is not one of this root by that key");
}
