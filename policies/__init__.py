"""The policy pack: what nobody may deploy, judged on the resources and not on the intent."""
