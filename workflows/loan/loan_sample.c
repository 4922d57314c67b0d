#include "workflows/loan/loan_sample.h"

#include <string.h>

enum { VARIANTS = 8, FIELDS = 3 };

static const char *const STEPS[LOAN_COMMANDS] = {
    NULL,
    "applicant_submission",
    "credit_bureau_response",
    "employer_verification",
    "property_appraisal",
    "approval_decision",
};

static const char *const OUTCOMES[LOAN_COMMANDS] = {
    "recorded",
    "credit_check_initiated",
    "income_verification_triggered",
    "collateral_assessment_started",
    "final_approval_ready",
    "completed",
};

static const size_t FIELD_COUNTS[LOAN_COMMANDS] = {0, 3, 2, 2, 2, 1};

/* Tables, not formatted text: a producer that makes a million commands a second must not measure
 * printf. */
static const struct wf_field FIELD_TABLE[LOAN_COMMANDS][VARIANTS][FIELDS] =
    {
        [1] =
            {
                {{"personal_info", "Ada Byron, 12 St James's Square"},
                 {"ssn", "123-45-6789"},
                 {"employment", "Analytical Engines Ltd, engineer"}},
                {{"personal_info", "Grace Hopper, 8 Vassar Road"},
                 {"ssn", "234-56-7890"},
                 {"employment", "Navy Yard, commodore"}},
                {{"personal_info", "Alan Turing, 43 Adlington Road"},
                 {"ssn", "345-67-8901"},
                 {"employment", "University of Manchester, reader"}},
                {{"personal_info", "Edsger Dijkstra, Plataanstraat 5"},
                 {"ssn", "456-78-9012"},
                 {"employment", "Burroughs, research fellow"}},
                {{"personal_info", "Barbara Liskov, 32 Vassar Street"},
                 {"ssn", "567-89-0123"},
                 {"employment", "Institute of Technology, professor"}},
                {{"personal_info", "Tony Hoare, 7 Wolfson Close"},
                 {"ssn", "678-90-1234"},
                 {"employment", "Elliott Brothers, programmer"}},
                {{"personal_info", "Frances Allen, 19 Skyline Drive"},
                 {"ssn", "789-01-2345"},
                 {"employment", "Business Machines, fellow"}},
                {{"personal_info", "Jim Gray, 455 Market Street"},
                 {"ssn", "890-12-3456"},
                 {"employment", "Tandem Computers, designer"}},
            },
        [2] =
            {
                {{"credit_score", "750"}, {"history", "no defaults in 12 years"}},
                {{"credit_score", "812"}, {"history", "two mortgages repaid"}},
                {{"credit_score", "688"}, {"history", "one late payment in 2021"}},
                {{"credit_score", "701"}, {"history", "short, without defaults"}},
                {{"credit_score", "795"}, {"history", "no defaults in 20 years"}},
                {{"credit_score", "730"}, {"history", "car loan running"}},
                {{"credit_score", "774"}, {"history", "no open loans"}},
                {{"credit_score", "659"}, {"history", "two late payments in 2019"}},
            },
        [3] =
            {
                {{"salary", "84000.00"}, {"tenure", "7 years"}},
                {{"salary", "126500.00"}, {"tenure", "19 years"}},
                {{"salary", "58200.00"}, {"tenure", "2 years"}},
                {{"salary", "71900.00"}, {"tenure", "5 years"}},
                {{"salary", "143000.00"}, {"tenure", "11 years"}},
                {{"salary", "66400.00"}, {"tenure", "4 years"}},
                {{"salary", "98750.00"}, {"tenure", "9 years"}},
                {{"salary", "112300.00"}, {"tenure", "14 years"}},
            },
        [4] =
            {
                {{"value", "410000.00"}, {"condition", "good"}},
                {{"value", "685000.00"}, {"condition", "renovated in 2018"}},
                {{"value", "239500.00"}, {"condition", "roof due within 5 years"}},
                {{"value", "318000.00"}, {"condition", "good"}},
                {{"value", "774000.00"}, {"condition", "new"}},
                {{"value", "289900.00"}, {"condition", "fair"}},
                {{"value", "521000.00"}, {"condition", "good"}},
                {{"value", "602500.00"}, {"condition", "listed building"}},
            },
        [5] =
            {
                {{"decision", "approved"}},
                {{"decision", "approved"}},
                {{"decision", "approved at 80 percent"}},
                {{"decision", "approved"}},
                {{"decision", "approved"}},
                {{"decision", "approved with a guarantor"}},
                {{"decision", "approved"}},
                {{"decision", "approved"}},
            },
};

/* "<prefix><10 digits>": ids of one prefix sort in the order of their numbers. */
static void write_id(char id[LOAN_ID_SIZE], const char *prefix, uint64_t number) {
    size_t at = 0;
    while (at < 8 && prefix[at] != '\0') {
        id[at] = prefix[at];
        at++;
    }
    for (size_t digit = 10; digit-- > 0; number /= 10)
        id[at + digit] = (char)('0' + number % 10);
    id[at + 10] = '\0';
}

const struct wf_command *loan_sample_command(struct loan_sample *sample, const char *prefix,
                                             uint64_t number, unsigned index) {
    struct wf_command *command = &sample->command;
    memset(command, 0, sizeof *command);
    write_id(sample->id, prefix, number);
    command->id = sample->id;
    command->fields = FIELD_TABLE[index][number % VARIANTS];
    command->field_count = FIELD_COUNTS[index];
    if (index == 0) {
        command->kind = WF_WORKFLOW_START;
        command->type = "loan_application";
    } else {
        command->kind = WF_WORKFLOW_SUBMIT;
        command->step = STEPS[index];
    }
    return command;
}

const char *loan_sample_step(unsigned index) {
    return STEPS[index];
}

const char *loan_sample_outcome(unsigned index) {
    return OUTCOMES[index];
}
