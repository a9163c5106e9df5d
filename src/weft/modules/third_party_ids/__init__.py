"""Third-party identifiers: the e-mail addresses and phone numbers of accounts.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""
