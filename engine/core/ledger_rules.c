/* The rules that look at reference data. Each names itself in its refusal. */
#include "engine/core/date.h"
#include "engine/core/decision.h"
#include "engine/core/ledger.h"
#include "engine/core/reference.h"
#include "engine/core/text.h"

/* As the names of operations without an instrument or a fee rule of their own have it. */
static const char default_instrument[] = "MARKET", default_fee_rule[] = "service_fee";

static bool asks(const struct ledger_work *work, enum rule rule) {
    return (work->rules >> rule & 1) != 0;
}

static bool check_fresh(struct ledger_work *work, const struct reference *reference) {
    const struct rate_terms *terms = &reference->as.rate;
    int64_t age_ms = work->decision->time_ms - terms->time_ms;
    if (age_ms <= terms->max_age_ms) {
        decision_same_until(work->decision, terms->time_ms + terms->max_age_ms + 1);
        return true;
    }
    char time[DATE_TIME_SIZE];
    return ledger_refuse(work,
                         "exchange_rate_validation: the rate %.*s is of %s, older than it "
                         "may be",
                         TEXT_ARGS(reference->name), date_time_print(time, terms->time_ms));
}

static bool check_band(struct ledger_work *work, const struct reference *reference, int64_t rate) {
    const struct rate_terms *terms = &reference->as.rate;
    if (money_is_within(rate, terms->rate, terms->band))
        return true;
    char quoted[MONEY_TEXT_SIZE], known[MONEY_TEXT_SIZE], band[MONEY_TEXT_SIZE];
    return ledger_refuse(
        work, "exchange_rate_validation: the rate %s is not within %s %% of %s, the rate %.*s",
        decimal_print(quoted, rate, RATE_SCALE), decimal_print(band, terms->band, PERCENT_SCALE),
        decimal_print(known, terms->rate, RATE_SCALE), TEXT_ARGS(reference->name));
}

static bool read_quoted(struct ledger_work *work, int64_t *rate) {
    struct bytes_view text = work->operation->rate;
    enum decimal_problem problem = decimal_parse(text, RATE_SCALE, rate);
    if (problem == DECIMAL_OK && *rate > 0)
        return true;
    return ledger_refuse(work, "the rate \"%.*s\" %s", (int)(text.size < 64 ? text.size : 64),
                         (const char *)text.data,
                         problem == DECIMAL_OK ? "must be greater than zero"
                                               : decimal_problem_words(problem));
}

bool ledger_rule_rate(struct ledger_work *work, const struct currency *from,
                      const struct currency *to, int64_t *rate) {
    const struct operation *operation = work->operation;
    const struct reference *reference =
        state_reference(work->state, REFERENCE_RATE, operation->currency);
    bool validated = asks(work, RULE_EXCHANGE_RATE_VALIDATION);
    if (reference == NULL && (validated || operation->rate.size == 0))
        return ledger_refuse(work,
                             "exchange_rate_validation: there is no rate %s_to_%s; "
                             "enter it first (rate set)",
                             from->code, to->code);
    if (operation->rate.size > 0) {
        if (!read_quoted(work, rate))
            return false;
    } else {
        *rate = reference->as.rate.rate;
    }
    return !validated || (check_fresh(work, reference) && check_band(work, reference, *rate));
}

static bool check_open(struct ledger_work *work, const struct reference *instrument) {
    struct bytes_view name = instrument->as.instrument.calendar;
    const struct reference *calendar = state_reference(work->state, REFERENCE_CALENDAR, name);
    if (calendar == NULL)
        return ledger_refuse(work,
                             "market_hours: there is no calendar \"%.*s\"; enter it first "
                             "(calendar set)",
                             TEXT_ARGS(name));
    if (calendar_is_open(calendar->as.calendar, work->decision->time_ms)) {
        decision_same_until(work->decision,
                            calendar_closes_ms(calendar->as.calendar, work->decision->time_ms));
        return true;
    }
    char time[DATE_TIME_SIZE];
    return ledger_refuse(work, "market_hours: %.*s is closed at %s", TEXT_ARGS(name),
                         date_time_print(time, work->decision->time_ms));
}

bool ledger_rule_instrument(struct ledger_work *work, const struct currency *currency) {
    struct bytes_view name = work->operation->instrument;
    if (name.size == 0)
        name = text_view(default_instrument);
    int shown = (int)(name.size < 64 ? name.size : 64);
    const char *rule = rule_name(asks(work, RULE_INSTRUMENT_AVAILABLE) ? RULE_INSTRUMENT_AVAILABLE
                                                                       : RULE_MARKET_HOURS);
    const struct reference *instrument = state_reference(work->state, REFERENCE_INSTRUMENT, name);
    if (instrument == NULL)
        return ledger_refuse(work,
                             "%s: there is no instrument \"%.*s\"; enter it first (instrument set)",
                             rule, shown, (const char *)name.data);
    if (instrument->as.instrument.currency != currency)
        return ledger_refuse(work, "%s: the instrument %.*s is traded in %s", rule, shown,
                             (const char *)name.data, instrument->as.instrument.currency->code);
    if (asks(work, RULE_INSTRUMENT_AVAILABLE) && !instrument->as.instrument.available)
        return ledger_refuse(work, "%s: the instrument %.*s is suspended", rule, shown,
                             (const char *)name.data);
    return !asks(work, RULE_MARKET_HOURS) || check_open(work, instrument);
}

bool ledger_rule_fee(struct ledger_work *work, const struct currency *currency, int64_t amount) {
    struct bytes_view name = work->operation->fee_rule;
    if (name.size == 0)
        name = text_view(default_fee_rule);
    int shown = (int)(name.size < 64 ? name.size : 64);
    const struct reference *reference = state_reference(work->state, REFERENCE_FEE_RULE, name);
    if (reference == NULL)
        return ledger_refuse(work,
                             "service_fee_rules: there is no fee rule \"%.*s\"; enter it first "
                             "(fee_rule set)",
                             shown, (const char *)name.data);
    const struct fee_rule_terms *terms = &reference->as.fee_rule;
    if (terms->currency != currency)
        return ledger_refuse(work, "service_fee_rules: the fee rule %.*s is for %s", shown,
                             (const char *)name.data, terms->currency->code);
    if (amount >= terms->minimum && amount <= terms->maximum)
        return true;
    char fee[MONEY_TEXT_SIZE], least[MONEY_TEXT_SIZE], most[MONEY_TEXT_SIZE];
    return ledger_refuse(work,
                         "service_fee_rules: a fee of %s %s is not from %s to %s, as the fee "
                         "rule %.*s has it",
                         money_print(fee, amount, currency), currency->code,
                         money_print(least, terms->minimum, currency),
                         money_print(most, terms->maximum, currency), shown,
                         (const char *)name.data);
}
