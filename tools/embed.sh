#!/bin/sh
# Writes a C file that holds FILE as a terminated const char array. Usage: tools/embed.sh FILE >OUT.c
# The array is named after the path, every other character than a letter or digit an underscore:
#   workflows/loan/loan_application.yaml -> const char workflows_loan_loan_application_yaml[];
#                                           const size_t workflows_loan_loan_application_yaml_size;
set -eu
name=$(printf '%s' "$1" | tr -c 'A-Za-z0-9' '_')
echo "/* Generated from $1. */"
echo "#include <stddef.h>"
echo "extern const char ${name}[];"
echo "extern const size_t ${name}_size; /* bytes, without the terminator */"
echo "const char ${name}[] = {"
od -An -v -to1 "$1" | sed 's/ \([0-7][0-7][0-7]\)/'"'"'\\\1'"'"',/g'
echo "0};"
echo "const size_t ${name}_size = sizeof ${name} - 1;"
