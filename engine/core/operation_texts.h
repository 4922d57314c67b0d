/* The text members of an operation, which struct operation and the host's struct wf_operation have
 * under the same names: one line for each, and whoever goes through all of them expands the list.
 * Owns nothing. */
#ifndef CORE_OPERATION_TEXTS_H
#define CORE_OPERATION_TEXTS_H

#include "engine/core/command.h"
#include "engine/core/event.h"

/* One bit for each kind: those of postings (1 to 13) keep their number, those on one account (from
 * 100 on) come behind them, from bit 20 on. */
#define OPERATION_KIND_BIT(kind) (UINT32_C(1) << ((kind) % 80))
#define OPERATION_BIT(name) OPERATION_KIND_BIT(OPERATION_##name)

#define OPERATION_BITS_STATUS                                                                      \
    (OPERATION_BIT(ACCOUNT_FREEZE) | OPERATION_BIT(ACCOUNT_UNFREEZE) | OPERATION_BIT(ACCOUNT_CLOSE))
#define OPERATION_BITS_ACCOUNT (OPERATION_BITS_STATUS | OPERATION_BIT(ACCOUNT_OPEN))
#define OPERATION_BITS_HOLD (OPERATION_BIT(HOLD) | OPERATION_BIT(POST) | OPERATION_BIT(VOID))

/* X(member, how errors call it, its size at most, bits of the kinds that take it). In this order
 * they stand in the body that a key's hash is made of: a new one goes to the end of
 * OPERATION_TEXTS_YOUNGER, and a body that has none of those is as it was before there were any. */
#define OPERATION_TEXTS_FIRST(X)                                                                   \
    X(type, "the type", COMMAND_ID_MAX, UINT32_MAX)                                                \
    X(from, "\"from\"", COMMAND_ID_MAX, ~OPERATION_BITS_ACCOUNT)                                   \
    X(to, "\"to\"", COMMAND_ID_MAX, ~OPERATION_BITS_ACCOUNT)                                       \
    X(amount, "the amount", COMMAND_ID_MAX, ~OPERATION_BITS_STATUS)                                \
    X(currency, "the currency", COMMAND_ID_MAX, ~OPERATION_BITS_STATUS)                            \
    X(rate, "the rate", COMMAND_ID_MAX, OPERATION_BIT(CURRENCY_EXCHANGE))                          \
    X(instrument, "the instrument", COMMAND_ID_MAX, OPERATION_BIT(INVESTMENT_PURCHASE))            \
    X(fee_rule, "the fee rule", COMMAND_ID_MAX, OPERATION_BIT(FEE_DEDUCTION))                      \
    X(hold, "the hold", COMMAND_ID_MAX, OPERATION_BITS_HOLD)
#define OPERATION_TEXTS_YOUNGER(X)                                                                 \
    X(account, "\"account\"", COMMAND_ID_MAX, OPERATION_BITS_ACCOUNT)                              \
    X(account_type, "the account's type", COMMAND_ID_MAX, OPERATION_BIT(ACCOUNT_OPEN))             \
    X(minimum, "the minimum", COMMAND_ID_MAX, OPERATION_BIT(ACCOUNT_OPEN))                         \
    X(reason, "the reason", COMMAND_TEXT_MAX, OPERATION_BITS_STATUS)
#define OPERATION_TEXTS(X) OPERATION_TEXTS_FIRST(X) OPERATION_TEXTS_YOUNGER(X)

#endif
