# policies/rules/images/image_pinned.py, with its default settings: nothing but a digest pins an image.
package main

import data.pods

pinned := concat("", [
	`^(?:[A-Za-z0-9.-]+(?::[0-9]+)?/)?[a-z0-9]+(?:(?:/|\.|__?|-+)[a-z0-9]+)*`,
	`(?::\w[\w.-]{0,127})?@sha256:[0-9a-f]{64}$`,
])

image_option := `(?i)^--?[\w.-]*image(=.*)?$`

images contains {"path": sprintf("%s.autoscalerOptions.image", [cluster.path]), "image": image} if {
	some cluster in pods.clusters
	image := cluster.spec.autoscalerOptions.image
}

images contains {"path": sprintf("%s.image", [found.path]), "image": image} if {
	some template in pods.templates
	some found in every_container(template)
	image := found.container.image
	not filled_in(template, image)
}

images contains {"path": sprintf("%s.args[%d]", [found.path, index]), "image": image} if {
	some template in pods.templates
	some found in every_container(template)
	some index, argument in found.container.args
	regex.match(image_option, argument)
	image := substring(argument, indexof(argument, "=") + 1, -1)
	contains(argument, "=")
	image != ""
}

images contains {"path": sprintf("%s.args[%d]", [found.path, index]), "image": argument} if {
	some template in pods.templates
	some found in every_container(template)
	some index, argument in found.container.args
	not regex.match(image_option, argument)
	before := found.container.args[index - 1]
	regex.match(image_option, before)
	not contains(before, "=")
}

images contains {"path": sprintf("%s.env[%d].value", [found.path, index]), "image": variable.value} if {
	some template in pods.templates
	some found in every_container(template)
	some index, variable in found.container.env
	endswith(upper(variable.name), "_IMAGE")
}

images contains {"path": sprintf("%s.volumes[%d].image.reference", [template.path, index]), "image": image} if {
	some template in pods.templates
	some index, volume in template.pod.spec.volumes
	image := volume.image.reference
}

every_container(template) := pods.containers(template, ["containers", "initContainers", "ephemeralContainers"])

# A pod that Istio fills in from a template, a gateway.
filled_in(template, "auto") if pods.exists(template.pod.metadata.annotations, "inject.istio.io/templates")

deny contains {"msg": "the image is not named by a digest", "rule": "image-pinned", "path": found.path} if {
	some found in images
	found.image != null
	not regex.match(pinned, found.image)
}
